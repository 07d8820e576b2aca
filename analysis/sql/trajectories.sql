-- What became of each example over the epochs of one run or several: its guesses, its truth's scores, when it was learned
-- epochs: all
-- tables: 1..n
-- tasks: classification
-- verdicts: refused
-- truth: optional
-- ids: unique
-- drawn: strip guesses truth_scores
-- guesses are those of each epoch in order, `-` where there is none, `|` between runs; truth_scores are in that order.
-- first_learned is the first epoch of any run with a right guess; stable_since the epoch since when all runs have had it
-- right, NULL where one ends wrong; flips are the times that a guess differs from that of the epoch before,
-- forgetting_events those at which a right one became wrong; agreement is the share of runs whose last guess is the
-- commonest one.
WITH by_run AS (
  SELECT
    id,
    truth,
    run,
    count(*) AS epochs,
    list(guess ORDER BY epoch, at_step NULLS LAST) AS said,
    list(truth_score ORDER BY epoch, at_step NULLS LAST) AS truth_scores,
    list(epoch ORDER BY epoch, at_step NULLS LAST) AS numbers,
    min(epoch) FILTER (WHERE guess = truth) AS first_learned
  FROM predictions
  GROUP BY id, truth, run
),
sequences AS (
  SELECT
    *,
    array_to_string(
      list_transform(
        said,
        lambda one: CASE
          WHEN one IS NULL THEN '-'
          WHEN CAST(one AS VARCHAR) LIKE '% %' THEN concat('"', one, '"')
          ELSE CAST(one AS VARCHAR)
        END
      ),
      ' '
    ) AS guesses,
    len(list_filter(range(1, epochs), lambda i: said[i] IS DISTINCT FROM said[i + 1])) AS flips,
    CASE
      WHEN truth IS NOT NULL
        THEN len(list_filter(range(1, epochs), lambda i: said[i] = truth AND said[i + 1] IS DISTINCT FROM truth))
    END AS forgotten,
    coalesce(list_max(list_filter(range(1, epochs + 1), lambda i: said[i] IS DISTINCT FROM truth)), 0) AS last_wrong,
    count(*) OVER (PARTITION BY id, truth, said[epochs]) AS alike
  FROM by_run
)
SELECT
  id,
  truth,
  string_agg(guesses, ' | ' ORDER BY run) AS guesses,
  flatten(list(truth_scores ORDER BY run)) AS truth_scores,
  min(first_learned) AS first_learned,
  CASE WHEN bool_and(last_wrong < epochs) THEN max(numbers[last_wrong + 1]) END AS stable_since,
  CAST(sum(flips) AS BIGINT) AS flips,
  CAST(sum(forgotten) AS BIGINT) AS forgetting_events,
  max(alike) / count(*) AS agreement,
  count(*) AS runs
FROM sequences
GROUP BY id, truth
ORDER BY id, truth
