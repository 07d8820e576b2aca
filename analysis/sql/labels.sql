-- Each label of multi-label tables: how often true and guessed, precision, recall and F1
-- epochs: last
-- tables: 1..n
-- tasks: multi-label
-- verdicts: refused
-- steps: told
-- spark: no, it takes lists of labels apart, which DuckDB and Spark spell in two ways
-- Of the rows with a truth; a row without a guess is one that guesses none. What nothing is counted over is 0, as in
-- scikit-learn.
WITH labelled AS (
  SELECT run, epoch, at_step AS step, truth, coalesce(guess, []) AS guess FROM predictions WHERE truth IS NOT NULL
),
decisions AS (
  SELECT run, epoch, step, unnest(truth) AS label, 1 AS support, 0 AS guessed, 0 AS hits FROM labelled
  UNION ALL
  SELECT run, epoch, step, unnest(guess), 0, 1, 0 FROM labelled
  UNION ALL
  SELECT run, epoch, step, unnest(list_intersect(guess, truth)), 0, 0, 1 FROM labelled
)
SELECT
  run,
  epoch,
  step,
  label,
  coalesce(sum(hits) / nullif(sum(guessed), 0), 0) AS precision,
  coalesce(sum(hits) / nullif(sum(support), 0), 0) AS recall,
  2 * sum(hits) / (sum(support) + sum(guessed)) AS f1,
  CAST(sum(support) AS BIGINT) AS support,
  CAST(sum(guessed) AS BIGINT) AS guessed,
  CAST(sum(hits) AS BIGINT) AS hits
FROM decisions
GROUP BY run, epoch, step, label
ORDER BY run, epoch, step NULLS LAST, label
