"""The two transactions of readings.duckdb as SQL.

Storing: `batch` is what arrived, `fresh` what of it is no repetition. A reading repeats if the one before it in order of reception, of the same
register, instant, source and due mark, has the same value, status and pin; so the latest received still wins (SPEC 4.3). Only instants not after the
register's newest one need a look at the stored readings.
Dirty: per register one range for what came after its newest reading and one for what came late, each reaching to the neighbouring readings (SPEC 12.2).

Replacing: `rows` are all rows inside the `within` ranges of series and level, which do not overlap; `differing` says what happens to each row that is
new, gone or changed (SPEC 13): an open row is rewritten, later states count a revision and keep the old row in history. A billed row is no other: what
was billed is the row of history that was billed and not yet changed, and each later difference of its value is a correction. A row that comes back after
it was gone counts on.
Hours and days are replaced apart from months and years, and rows lie in order of level and time, so that the database skips what begins outside.
"""

from typing import Final

from submeter.reading import LEVELS

FRESH: Final = """
WITH late AS (SELECT b.* FROM batch b JOIN newest n USING (register) WHERE b.t <= n.t),
known AS (
  SELECT r.*, false AS arrived FROM readings r SEMI JOIN late USING (register, t, src, due)
  UNION ALL SELECT *, true FROM batch)
SELECT * EXCLUDE (arrived) FROM known
QUALIFY arrived AND lag(row(value, status, pinned)) OVER (PARTITION BY register, t, src, due ORDER BY seq, arrived) IS DISTINCT FROM row(value, status, pinned)
ORDER BY register, t, seq
"""

MARK_DIRTY: Final = """
WITH placed AS (SELECT f.register, f.t, n.t AS newest, coalesce(f.t <= n.t, false) AS late FROM fresh f LEFT JOIN newest n USING (register)),
spans AS (SELECT register, late, min(t) AS t_from, max(t) AS t_to, any_value(newest) AS newest FROM placed GROUP BY register, late),
around AS (
  SELECT s.register, max(r.t) FILTER (WHERE r.t < s.t_from) AS before, min(r.t) FILTER (WHERE r.t > s.t_to) AS after
  FROM spans s JOIN readings r USING (register) WHERE s.late GROUP BY s.register)
INSERT INTO dirty
SELECT s.register,
  CASE WHEN s.late THEN coalesce(a.before, s.t_from) ELSE coalesce(s.newest, s.t_from) END,
  CASE WHEN s.late THEN coalesce(a.after, s.t_to) ELSE s.t_to END, ?
FROM spans s LEFT JOIN around a USING (register)
"""

MOVE_NEWEST: Final = """
MERGE INTO newest n USING (SELECT register, max(t) AS t FROM fresh GROUP BY register) f ON n.register = f.register
WHEN MATCHED AND f.t > n.t THEN UPDATE SET t = f.t
WHEN NOT MATCHED THEN INSERT VALUES (f.register, f.t)
"""

RECEIVE: Final = """
MERGE INTO receptions o USING heard h ON o.device = h.device AND o.gateway = h.gateway AND o.day = h.day
WHEN MATCHED THEN UPDATE SET n = o.n + h.n, rssi_best = greatest(o.rssi_best, h.rssi_best)
WHEN NOT MATCHED THEN INSERT VALUES (h.device, h.gateway, h.day, h.n, h.rssi_best)
"""

SELECT_HEARD_BY: Final = """
SELECT device, gateway, sum(n)::BIGINT AS n, strftime(min(day), '%Y-%m-%d') AS first, strftime(max(day), '%Y-%m-%d') AS last, max(rssi_best) AS rssi
FROM receptions WHERE day >= ? GROUP BY device, gateway ORDER BY device, gateway
"""

SELECT_ALONE: Final = """
SELECT a.id, r.device FROM asked a JOIN receptions r ON r.day BETWEEN a.first AND a.last GROUP BY a.id, r.device HAVING bool_and(r.gateway = a.gateway)
"""

NOTE_TOUCHED: Final = """
INSERT INTO unpublished
SELECT DISTINCT o.series, o.level, o.start, ? FROM rollups o JOIN touched t ON o.series = t.series AND o.start < t.until AND o."end" > t.since
"""

SELECT_OF_TELEGRAM: Final = """
SELECT g.name, g.unit, r.t, r.value, r.time_source FROM readings r JOIN registers g ON g.id = r.register WHERE r.seq >> ? = ? ORDER BY r.seq
"""

SELECT_FIRST_HEARD: Final = """
SELECT DISTINCT device, gateway FROM receptions
WHERE device IN (SELECT device FROM receptions GROUP BY device HAVING min(day) >= ?) ORDER BY device, gateway
"""

ACCEPT: Final = """
MERGE INTO accepted o USING risen h ON o.device = h.device AND o.what = h.what
WHEN MATCHED THEN UPDATE SET t = h.t, value = h.value
WHEN NOT MATCHED THEN INSERT VALUES (h.device, h.what, h.t, h.value)
"""

LEARN: Final = "INSERT INTO formats SELECT * FROM taught ANTI JOIN formats USING (manufacturer, version, type, signature)"

_DAY: Final = LEVELS.index("day")
_DATA: Final = '"end", value, lo, hi, n, coverage, quality, flags, index_start, index_end'
_NEW_DATA: Final = ", ".join(f"w.{name}" for name in _DATA.split(", "))
_OLD_DATA: Final = ", ".join(f"o.{name}" for name in _DATA.split(", "))

DIFFERING: Final = f"""
WITH kept AS (
  SELECT h.series, h.level, h.start, max(h.rev) AS rev, max(h.state) AS state
  FROM history h JOIN own c ON h.series = c.series AND h.level = c.level AND h.start >= c.first AND h.start < c.beyond
  WHERE h.start >= $first AND h.start < $beyond AND h.series BETWEEN $low AND $high GROUP BY ALL)
SELECT series, level, start, w.series IS NULL AS gone, o.state AS was, greatest(w.state, if(coalesce(o.state, k.state) = 3, 3, 0)) AS state,
  coalesce(o.state, 0) > 0 AND row({_NEW_DATA}) IS DISTINCT FROM row({_OLD_DATA}) AS revised,
  CASE WHEN w.series IS NULL THEN NULL ELSE coalesce(o.rev, k.rev + 1, 1) + revised::INTEGER END AS rev
FROM rows w FULL JOIN (
  SELECT r.* FROM rollups r JOIN own c ON r.series = c.series AND r.level = c.level AND r.start >= c.first AND r.start < c.beyond
  WHERE r.start >= $first AND r.start < $beyond AND r.series BETWEEN $low AND $high) o USING (series, level, start)
LEFT JOIN kept k USING (series, level, start)
WHERE row({_NEW_DATA}, greatest(w.state, if(o.state = 3, 3, 0))) IS DISTINCT FROM row({_OLD_DATA}, o.state)
"""  # noqa: S608 - column names of the line above

KEEP_HISTORY: Final = """
INSERT INTO history SELECT o.*, coalesce(c.reason, ?), ?, c.caused_by, c.received_at
FROM rollups o SEMI JOIN (SELECT * FROM differing WHERE revised) USING (series, level, start) LEFT JOIN causes c USING (series)
WHERE o.start BETWEEN ? AND ?
"""

CORRECT: Final = """
INSERT INTO corrections
SELECT DISTINCT ON (d.series, d.level, d.start) d.series, d.level, d.start, coalesce(w."end", o."end"), o.value, w.value, coalesce(c.reason, ?),
  coalesce(c.author, 'submeter'), ?, coalesce(d.rev, o.rev + 1)
FROM differing d JOIN bills b ON b.series = d.series AND b.level = d.level AND d.start >= b.start AND d.start < b."end"
JOIN series s ON s.id = d.series AND s.kind <> 'gauge'
LEFT JOIN rows w ON w.series = d.series AND w.level = d.level AND w.start = d.start
LEFT JOIN (SELECT * FROM rollups WHERE start BETWEEN ? AND ?) o ON o.series = d.series AND o.level = d.level AND o.start = d.start
LEFT JOIN causes c ON c.series = d.series
WHERE o.value IS DISTINCT FROM w.value
ORDER BY ALL
"""

BILL: Final = """
UPDATE rollups o SET state = 3 FROM billed b WHERE o.series = b.series AND o.start >= b.start AND o."end" <= b."end"
"""

UNBILL_HISTORY: Final = """
UPDATE history o SET state = 2 FROM billed b WHERE o.series = b.series AND o.start >= b.start AND o."end" <= b."end"
"""

DELETE_CHANGED: Final = """
DELETE FROM rollups o USING differing d WHERE o.series = d.series AND o.level = d.level AND o.start = d.start AND o.start BETWEEN ? AND ?
"""

INSERT_CHANGED: Final = """
INSERT INTO rollups SELECT w.* REPLACE (d.state AS state), d.rev FROM rows w JOIN differing d USING (series, level, start) ORDER BY level, start, series
"""

#: What a rehearsal changed: `old` has the rows of `noted` as they stand without it.
REHEARSED: Final = f"""
SELECT series, level, start, o.value AS was, w.value AS value, o.state IS NULL AS fresh, w.state IS NULL AS gone
FROM noted LEFT JOIN old o USING (series, level, start) LEFT JOIN rollups w USING (series, level, start)
WHERE row({_OLD_DATA}, o.state, o.rev) IS DISTINCT FROM row({_NEW_DATA}, w.state, w.rev) ORDER BY series, level, start
"""  # noqa: S608 - column names of the line above
NOTED: Final = "SELECT DISTINCT series, level, start FROM unpublished WHERE mark > ?"
DELETE_DAYS: Final = f"""
DELETE FROM days USING within c
WHERE c.level = {_DAY} AND days.series = c.series AND days.start >= c.first AND days.start < c.beyond
"""  # noqa: S608 - a number of ours

DELETE_COMPUTED: Final = "DELETE FROM computed USING standing s WHERE computed.series = s.series"

#: For each range (`id`, series, t_from, t_to, wait): the last day whose reaching segment ended more than `wait` before it, the first one whose reaching
#: segment begins after it, and where that segment ends. What began more than 100 days before the earliest range is not looked for.
BEGUN: Final = """
WITH placed AS (
  SELECT r.id, d.start, d.anchor_t, d.anchor_v, d.odd, d.next_t, d.anchor_v IS NOT NULL AND d.next_t + r.wait < r.t_from AS early, d.anchor_t > r.t_to AS late
  FROM ranges r JOIN days d USING (series) WHERE d.start >= $since AND d.anchor_t IS NOT NULL)
SELECT id, arg_max(struct_pack(start, anchor_t, anchor_v, odd, next_t), start) FILTER (WHERE early) AS begin,
  arg_min(struct_pack(start, anchor_t, anchor_v, odd, next_t), start) FILTER (WHERE late) AS stop
FROM placed GROUP BY id ORDER BY id
"""

SELECT_DAYS: Final = """
SELECT d.* FROM days d JOIN spans s ON d.series = s.series AND d.start >= s.first AND d.start < s.beyond WHERE d.start >= $first AND d.start < $beyond
AND NOT EXISTS (FROM cut c WHERE c.series = d.series AND d.start >= c.first AND d.start < c.beyond)
"""

SELECT_INSIDE: Final = """
SELECT s.id, r.register, r.t, r.value, r.src, r.status, r.due, r.pinned, r.seq
FROM readings r JOIN spans s ON r.register = s.register AND r.t >= s.first AND r.t < s.beyond
WHERE r.t >= $first AND r.t < $beyond ORDER BY s.id, r.t, r.seq
"""

MOVE_STATE: Final = """
UPDATE rollups SET state = m.state FROM moved m WHERE rollups.series = m.series AND rollups.level = m.level AND rollups.start = m.start
"""
