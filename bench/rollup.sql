-- The simple semantics of rollups: use per local hour, day, month and year, interpolated at the boundaries and rounded half to even at each of them.
-- `readings` (series, t, value) rise only and are one an instant; `calendar` says to which local day, month and year each hour of the zone belongs.
-- The zone's hours are hours of UTC. No events, bounds, coverage, quality, flags or displays.
WITH segments AS (
  SELECT series, t AS t1, value AS v1, lead(t, 1, t + 1) OVER later AS t2, lead(value, 1, value) OVER later AS v2
  FROM readings WINDOW later AS (PARTITION BY series ORDER BY t)),
reach AS (SELECT series, min(t) AS first, max(t) AS last FROM readings GROUP BY series),
grid AS (
  SELECT series, first, unnest(range(first // 3600000000 * 3600000000, last + 3600000000, 3600000000)) AS u FROM reach),
placed AS (
  SELECT g.series, g.u, s.v1, s.v2 - s.v1 AS rise, s.t2 - s.t1 AS span, greatest(least(g.u, s.t2) - s.t1, 0) AS passed
  FROM grid g ASOF JOIN segments s ON g.series = s.series AND greatest(g.u, g.first) >= s.t1),
shares AS (SELECT series, u, v1 + rise * passed // span AS down, rise * passed % span AS rest, span FROM placed),
marks AS (
  SELECT series, u, down + CASE WHEN 2 * rest > span OR (2 * rest = span AND down % 2 = 1) THEN 1 ELSE 0 END AS v FROM shares),
hours AS (SELECT series, u AS start, lead(v) OVER (PARTITION BY series ORDER BY u) - v AS value FROM marks QUALIFY value IS NOT NULL),
days AS (
  SELECT series, day AS start, month, year, sum(value)::BIGINT AS value FROM hours JOIN calendar ON calendar.hour = hours.start GROUP BY ALL)
SELECT series, 0 AS level, start, value FROM hours
UNION ALL SELECT series, 1, start, value FROM days
UNION ALL SELECT series, 2, month, sum(value)::BIGINT FROM days GROUP BY ALL
UNION ALL SELECT series, 3, year, sum(value)::BIGINT FROM days GROUP BY ALL
