-- How each labelled example was learned over the epochs of one run or several: data map, forgetting, margin
-- epochs: all
-- tables: 1..n
-- tasks: classification
-- verdicts: refused
-- ids: unique
-- Over all epochs of all runs: mean_truth_score and variability, the mean and the population standard deviation of the
-- truth's score, and correctness, the share of guesses that are right (Swayamdipta et al. 2020, Dataset cartography);
-- aum, the mean of log(truth's score) - log(largest other score), which is the margin of the logits (Pleiss et al. 2020,
-- Identifying mislabeled data). Scores of 0 count as 2^-149, the least that a float32 holds; floored counts them. Epochs
-- whose scores are NaN are left out of these means.
-- forgetting_events are the times that a right guess was followed by a wrong one, over all runs; a run that never learned
-- the example adds all its epochs (Toneva et al. 2019, An empirical study of example forgetting). first_learned is the
-- first epoch of any run with a right guess. stable_since is the epoch since when the last run that learned it for good
-- has had it right, NULL where a run ends wrong. flips are the times that a guess differs from that of the epoch before.
WITH passes AS (
  SELECT
    run,
    id,
    truth,
    epoch,
    at_step,
    guess,
    CASE WHEN NOT isnan(truth_score) THEN CAST(truth_score AS DOUBLE) END AS p,
    CASE WHEN NOT isnan(truth_score) THEN CAST(other_score AS DOUBLE) END AS other
  FROM predictions
  WHERE truth IS NOT NULL
),
by_run AS (
  SELECT
    id,
    truth,
    run,
    count(*) AS epochs,
    count(*) FILTER (WHERE guess = truth) AS correct,
    count(p) AS scored,
    avg(p) AS mean,
    var_pop(p) AS variance,
    sum(ln(greatest(p, pow(2, -149))) - ln(greatest(other, pow(2, -149)))) FILTER (WHERE p + other IS NOT NULL) AS margins,
    count(p + other) AS margins_counted,
    count(*) FILTER (WHERE p < pow(2, -149)) + count(*) FILTER (WHERE other < pow(2, -149)) AS floored,
    min(epoch) FILTER (WHERE guess = truth) AS first_learned,
    list(guess ORDER BY epoch, at_step NULLS LAST) AS guesses,
    list(epoch ORDER BY epoch, at_step NULLS LAST) AS numbers
  FROM passes
  GROUP BY id, truth, run
),
sequences AS (
  SELECT
    *,
    sum(scored * mean) OVER by_example / sum(scored) OVER by_example AS pooled,
    len(list_filter(range(1, epochs), lambda i: guesses[i] = truth AND guesses[i + 1] IS DISTINCT FROM truth)) AS forgotten,
    len(list_filter(range(1, epochs), lambda i: guesses[i] IS DISTINCT FROM guesses[i + 1])) AS flips,
    coalesce(list_max(list_filter(range(1, epochs + 1), lambda i: guesses[i] IS DISTINCT FROM truth)), 0) AS last_wrong
  FROM by_run
  WINDOW by_example AS (PARTITION BY id, truth)
)
SELECT
  id,
  truth,
  any_value(pooled) AS mean_truth_score,
  sqrt(sum(scored * (variance + (mean - pooled) * (mean - pooled))) / nullif(sum(scored), 0)) AS variability,
  sum(correct) / sum(epochs) AS correctness,
  CAST(sum(CASE WHEN correct = 0 THEN epochs ELSE forgotten END) AS BIGINT) AS forgetting_events,
  min(first_learned) AS first_learned,
  CASE WHEN bool_and(last_wrong < epochs) THEN max(numbers[last_wrong + 1]) END AS stable_since,
  CAST(sum(flips) AS BIGINT) AS flips,
  sum(margins) / nullif(sum(margins_counted), 0) AS aum,
  CAST(sum(floored) AS BIGINT) AS floored
FROM sequences
GROUP BY id, truth
ORDER BY id, truth
