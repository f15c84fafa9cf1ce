"""What is seen of rows at an edge of what may be seen: the published part, in the place of the row of two holders (SPEC 12.4, FLOWS 9).

Rules: the row of a bucket over an edge never leaves here; of it stay its state and its revision. A part is taken where it ends exactly where the sight does,
at a hand-over: of any other edge nothing is known. Parts are of the newest rows.
"""

from typing import Any, Final

import numpy as np

from submeter import civil
from submeter.api.access import SeenUnit
from submeter.reading import FLAGS, LEVELS
from submeter.store.published import Points, Published

__all__ = ["CUT", "NAMES", "seen_of"]

#: The flag of a part, after those of rows, and the names of all in order of their bits.
CUT: Final = 1 << len(FLAGS)
NAMES: Final = (*FLAGS, "cut")


def seen_of(rows: Points, series: int, level: str, seen: SeenUnit, published: Published, *, newest: bool = True) -> Points:
    """Those of a level's rows that lie inside what is visible, and the parts of those at its edges, in order of start."""
    inside = (rows["start"] >= seen.visible.begins) & (rows["end"] <= seen.visible.ends)
    edge = rows[~inside & (rows["start"] < seen.visible.ends) & (rows["end"] > seen.visible.begins)]
    if not len(edge) or not newest:
        return rows[inside]
    labels = civil.blocks_of(seen.property.zone, level, edge["start"])
    parts = published.parts(series, LEVELS.index(level), min(labels), max(labels))
    found = [_of(parts, row, max(int(row["start"]), seen.visible.begins), min(int(row["end"]), seen.visible.ends)) for row in edge]
    return np.sort(np.concatenate([rows[inside], *found]), order="start")


def _of(parts: Points, row: Any, start: int, end: int) -> Points:
    """The part of a row between two instants; none if there is none."""
    part: Points = parts[(parts["start"] == start) & (parts["end"] == end)].copy()
    part["flags"] |= CUT
    part["state"], part["rev"] = row["state"], row["rev"]
    return part
