-- Wrong guesses, most confident first
-- epochs: last
-- tables: 1..n
-- $limit int = null  at most so many rows
SELECT *
FROM predictions
WHERE truth IS NOT NULL AND guess IS DISTINCT FROM truth
ORDER BY confidence DESC NULLS LAST, run, epoch, id
LIMIT $limit
