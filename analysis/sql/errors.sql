-- Wrong guesses, most confident first
-- epochs: last
-- tables: 1..n
-- $limit int = null  at most so many rows
SELECT * EXCLUDE (wrong, at_step)
FROM predictions
WHERE wrong
ORDER BY confidence DESC NULLS LAST, run, epoch, at_step NULLS LAST, id
LIMIT $limit
