-- Wrong guesses, most confident first
-- epochs: last
-- tables: 1..n
-- $limit int = null  at most so many rows
SELECT * EXCLUDE (wrong)
FROM predictions
WHERE wrong
ORDER BY confidence DESC NULLS LAST, run, epoch, id
LIMIT $limit
