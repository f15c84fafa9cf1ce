"""Readings by bucket and UTC month, for computations elsewhere: what there is, told by a checksum, and the readings themselves.

A bucket is any set of registers; a register may be in several. Rules: equal checksums mean equal readings, whatever their order.
"""

from typing import Final

import pyarrow as pa

from submeter.store.duck import Duck

__all__ = ["Bucketed"]

_READING: Final = "r.register, r.t, r.value, r.src, r.status, r.due, r.pinned, r.seq"
SUMS: Final = f"""
SELECT c.bucket, CAST(date_trunc('month', make_timestamp(r.t)) AS DATE) AS month, count(*) AS n, CAST(sum(hash({_READING})) AS VARCHAR) AS checksum
FROM readings r JOIN chosen c USING (register) GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - columns of the line above
READINGS: Final = f"""
SELECT c.bucket, {_READING} FROM readings r JOIN chosen c USING (register) WHERE r.t >= $first AND r.t < $beyond ORDER BY c.bucket, r.register, r.t, r.seq
"""  # noqa: S608 - columns of the line above


class Bucketed:
    """The readings of a readings file in buckets, as `readings.bucketed`; `buckets` are pairs (bucket, register)."""

    def __init__(self, duck: Duck) -> None:
        self._duck = duck

    def sums(self, buckets: pa.Table) -> pa.Table:
        """Return bucket, month (its first day), n and checksum of the readings of each bucket."""
        return self._duck.read(SUMS, chosen=buckets)

    def readings(self, buckets: pa.Table, first: int, beyond: int) -> pa.Table:
        """Return bucket, register, t, value, src, status, due, pinned, seq of the readings in [first, beyond), in this order of bucket, register, t, seq."""
        return self._duck.read(READINGS, {"first": first, "beyond": beyond}, chosen=buckets)
