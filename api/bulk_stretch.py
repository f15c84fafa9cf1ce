"""What the formats of bulk answers are written from: rows of a unit's series, in order of time."""

from dataclasses import dataclass

from submeter.api.access import SeenUnit
from submeter.api.consumption import UOM, Shown
from submeter.store.published import Points, Published
from submeter.store.registry import Registry

__all__ = ["Stretch", "all_series"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of a unit's series, in order of time."""

    seen: SeenUnit
    shown: Shown
    points: Points

    @property
    def words(self) -> list[str]:
        """What is the same in all rows, in the order of OF_SERIES."""
        point, series = self.shown.point, self.shown.series
        uom = UOM.get(series.register.unit, series.register.unit)
        statistic = "mean" if self.is_gauge else "sum"
        return [self.seen.unit.id, point.id, point.quantity, series.register.name, str(series.register), statistic, uom]

    @property
    def is_gauge(self) -> bool:
        """Whether `value` is a mean, `lo` and `hi` minimum and maximum."""
        return self.shown.series.kind == "gauge"


def all_series(seen: SeenUnit, registry: Registry, published: Published) -> list[Shown]:
    """All that is published of what is visible of a unit."""
    points = {point.id: point for point in seen.points(registry)}
    return [Shown(points[one.point], one) for one in published.series_of(list(points))]
