-- What DuckDB is asked to compute: the index at the civil boundaries by exact interpolation, rounded half to even, and the use of each hour, day, month
-- and year between them, with its bounds, for counters without any event. `readings` (series, t, value) are those of one piece; :zone is the zone.
WITH segments AS (
  SELECT series, t AS t1, value AS v1, lead(t) OVER w AS t2, lead(value) OVER w AS v2 FROM readings WINDOW w AS (PARTITION BY series ORDER BY t)
), crossed AS (
  SELECT series, t1, v1, t2, v2, unnest(range((t1 + 3599999999) // 3600000000, (t2 + 3599999999) // 3600000000)) * 3600000000 AS u
  FROM segments WHERE t2 IS NOT NULL
), boundaries AS (
  SELECT series, u, v1, v2, u = t1 AS exactly, ((v2 - v1)::BIGINT * (u - t1)) // (t2 - t1) AS whole, ((v2 - v1)::BIGINT * (u - t1)) % (t2 - t1) AS rest, t2 - t1 AS span,
    (make_timestamp(u) AT TIME ZONE 'UTC') AT TIME ZONE 'Europe/Prague' AS civil
  FROM crossed
), indexed AS (
  SELECT series, u, civil, v1 AS low, if(exactly, v1, v2) AS high,
    v1 + whole + if(2 * rest > span OR (2 * rest = span AND (v1 + whole) % 2 = 1), 1, 0) AS idx
  FROM boundaries
), levels AS (
  SELECT 0 AS level, * FROM indexed
  UNION ALL SELECT 1, * FROM indexed WHERE hour(civil) = 0
  UNION ALL SELECT 2, * FROM indexed WHERE hour(civil) = 0 AND day(civil) = 1
  UNION ALL SELECT 3, * FROM indexed WHERE hour(civil) = 0 AND day(civil) = 1 AND month(civil) = 1
)
SELECT series, level, u AS start, lead(u) OVER w AS "end", lead(idx) OVER w - idx AS value, greatest(lead(low) OVER w - high, 0) AS lo,
  lead(high) OVER w - low AS hi
FROM levels WINDOW w AS (PARTITION BY level, series ORDER BY u) QUALIFY "end" IS NOT NULL
