"""A simulated meter: what it shows, stores and sends at an instant. Deterministic from its seed; no state.

Rules: a counter shows whole steps of its running total; an allocator shows the steps since its last set day (31 December, 24:00 local time)
and stores what the set day closed; the others store their counters of the last month end.  `total` never restarts: it is the truth that
consumption is checked against.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Self
from zoneinfo import ZoneInfo

from submeter.reading import MICRO, DeviceId, Register
from submeter.simulate import records
from submeter.simulate.consumption import SECOND, Use, hashed
from submeter.simulate.frames import radio, wired
from submeter.simulate.layers import Header, mode5, plain
from submeter.simulate.models import MANUFACTURER, MODELS, Field, Model

#: Storage numbers of OMS: 1 the set day, 8 the newest month end.
_STORAGE: Final = {"set_day": 1, "month": 8}
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Stored:
    """What a meter keeps of one instant: the local date that ended then, the instant (µs UTC), registers in micro units."""

    day: date
    t: int
    values: tuple[tuple[Register, int], ...]


@dataclass(frozen=True)
class Meter:
    """One device with its model, key (None: sends plainly) and use; `zone` is the local time of its clock; since `installed` (µs UTC) it stores values."""

    device: DeviceId
    kind: str
    key: bytes | None
    use: Use
    zone: str
    installed: int = 0

    @classmethod
    def make(cls, kind: str, number: int, *, seed: int, zone: str, maker: str = MANUFACTURER) -> Self:
        """The `number`-th meter (to 9999) of the world of a seed (to 99), with its own id, key and use; the id shows type, seed and number."""
        if not (0 <= seed <= 99 and 0 <= number <= 9999):
            raise ValueError(f"seed {seed}, meter {number}: an id has room for seeds to 99 and meters to 9999")
        model, own = MODELS[kind], hashed(seed, kind, number)
        low, high = model.annual
        annual = low * MICRO + own % ((high - low) * MICRO)
        key = None if model.link == "wired" else b"".join(hashed(own, half).to_bytes(8) for half in "ab")
        device = DeviceId(maker, f"{model.type:02d}{seed:02d}{number:04d}", _VERSION, model.type)
        return cls(device, kind, key, Use(own, model.shape, annual, own % (7 * annual), _east(zone)), zone)

    @property
    def model(self) -> Model:
        """The row of MODELS that describes it."""
        return MODELS[self.kind]

    def total(self, register: Register, t: int) -> int:
        """The counter's running total in micro units at `t` (µs UTC), whole steps, never restarting."""
        return next(_steps(self, field, t) * field.step for field in self.model.fields if field.register == register)

    def truth(self, t: int) -> dict[Register, int]:
        """What the meter shows at `t`, in micro units."""
        return {field.register: _shown(self, place, t) * field.step for place, field in enumerate(self.model.fields)}

    def stored(self, t: int) -> Stored:
        """What the meter keeps at `t`: its last month end, or its last set day."""
        return _keep(self, _first_day(self.model, self._clock(t).date()))

    def keeps(self, t: int) -> bool:
        """Whether it was there already when what it stores at `t` happened."""
        return self.stored(t).t >= self.installed

    def telegram(self, t: int) -> bytes:
        """The telegram sent at `t`: a radio frame without CRCs, or a wired long frame; its access number counts seconds."""
        clock = self._clock(t)
        data = records.minute(clock, summer=bool(clock.dst())) + self._shown_records(t)
        if self.keeps(t):
            data += _kept_records(self, _first_day(self.model, clock.date()))
        header = Header(access=t // SECOND & 0xFF, address=None if self.model.link == "short" else self.device)
        if self.key is None:
            return wired(plain(data, header))
        return radio(self.device, mode5(data, header, self.key, self.device))

    def _shown_records(self, t: int) -> bytes:
        return b"".join(field.code(field.vib, _shown(self, place, t)) for place, field in enumerate(self.model.fields))

    def _clock(self, t: int) -> datetime:
        return datetime.fromtimestamp(t // SECOND, ZoneInfo(self.zone))


def _steps(meter: Meter, field: Field, t: int) -> int:
    return field.value(meter.use, t) // field.step


def _shown(meter: Meter, place: int, t: int) -> int:
    """Steps on the display: since the last set day for an allocator's counters, as they are otherwise."""
    field = meter.model.fields[place]
    if meter.model.stored == "month" or place >= meter.model.counters:
        return _steps(meter, field, t)
    return _steps(meter, field, t) - _steps(meter, field, meter.stored(t).t)


def _first_day(model: Model, today: date) -> date:
    """The first day of the running month or year: the day behind the one that is stored."""
    return today.replace(day=1) if model.stored == "month" else today.replace(month=1, day=1)


@lru_cache(maxsize=16384)
def _keep(meter: Meter, first: date) -> Stored:
    """The counters as `first` began; those that restart count from the same day a year before."""
    t = midnight(first, meter.zone)
    before = midnight(first.replace(year=first.year - 1), meter.zone)
    restarts = meter.model.stored == "set_day"
    counters = meter.model.fields[: meter.model.counters]
    values = tuple((field.register, (_steps(meter, field, t) - restarts * _steps(meter, field, before)) * field.step) for field in counters)
    return Stored(first - timedelta(days=1), t, values)


@lru_cache(maxsize=16384)
def _kept_records(meter: Meter, first: date) -> bytes:
    kept, slot = _keep(meter, first), records.Slot(storage=_STORAGE[meter.model.stored])
    counters = zip(meter.model.fields, kept.values, strict=False)
    return records.day(kept.day, slot) + b"".join(field.code(field.vib, value // field.step, slot=slot) for field, (_, value) in counters)


def _east(zone: str) -> int:
    """Whole hours by which a zone is ahead of UTC in winter; those within two of it count as UTC."""
    offset = datetime(2020, 1, 1, tzinfo=ZoneInfo(zone)).utcoffset() or timedelta()
    hours = round(offset / timedelta(hours=1))
    return hours if abs(hours) > 2 else 0


def midnight(day: date, zone: str) -> int:
    """Start of a local day in µs UTC."""
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return round((local - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
