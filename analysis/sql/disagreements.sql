-- Examples on which the guesses of two tables differ, with both score vectors
-- epochs: last
-- tables: 2
-- truth: optional
-- drawn: under id
-- $limit int = null  at most so many rows
SELECT *
FROM joined
WHERE guess_a IS DISTINCT FROM guess_b
ORDER BY id
LIMIT $limit
