-- Each example that changed from one table to the other: broken, fixed, or wrong in another way
-- epochs: last
-- tables: 2
-- drawn: under id
-- $only (broken|fixed|both_wrong_other) = null  only those
-- $limit int = null  at most so many rows
SELECT id, outcome, * EXCLUDE (id, outcome)
FROM joined
WHERE outcome IN ('broken', 'fixed', 'both_wrong_other')
  AND ($only IS NULL OR outcome = $only)
ORDER BY outcome DESC, id
LIMIT $limit
