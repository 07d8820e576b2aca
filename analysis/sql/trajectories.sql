-- What became of each example over the epochs of one run or several: its guesses, its truth's scores, when it was learned
-- epochs: all
-- tables: 1..n
-- verdicts: refused
-- truth: optional
-- ids: unique
-- guesses are those of each epoch in order, `-` where there is none, `|` between runs; truth_scores are in that order.
-- first_learned is the first epoch of any run with a right guess; stable_since the epoch since when all runs have had it
-- right, NULL where one ends wrong; flips are the times that a guess differs from that of the epoch before; agreement is
-- the share of runs whose last guess is the commonest one.
WITH passes AS (
  SELECT
    run,
    id,
    truth,
    epoch,
    guess,
    truth_score,
    wrong,
    lag(wrong) OVER by_epoch AS wrong_before,
    guess IS DISTINCT FROM lag(guess) OVER by_epoch AND lag(epoch) OVER by_epoch IS NOT NULL AS flipped,
    CASE
      WHEN guess IS NULL THEN '-'
      WHEN CAST(guess AS VARCHAR) LIKE '% %' THEN concat('"', guess, '"')
      ELSE CAST(guess AS VARCHAR)
    END AS word
  FROM predictions
  WINDOW by_epoch AS (PARTITION BY run, id, truth ORDER BY epoch)
),
by_run AS (
  SELECT
    id,
    truth,
    run,
    string_agg(word, ' ' ORDER BY epoch) AS guesses,
    list(truth_score ORDER BY epoch) AS truth_scores,
    arg_max(coalesce(CAST(guess AS VARCHAR), ''), epoch) AS last_guess,
    count(*) FILTER (WHERE flipped) AS flips,
    min(epoch) FILTER (WHERE NOT wrong) AS first_learned,
    max(epoch) FILTER (WHERE NOT wrong AND coalesce(wrong_before, true)) AS learned_last,
    max(epoch) FILTER (WHERE wrong) AS wrong_last
  FROM passes
  GROUP BY id, truth, run
),
with_alike AS (
  SELECT *, count(*) OVER (PARTITION BY id, truth, last_guess) AS alike
  FROM by_run
)
SELECT
  id,
  truth,
  string_agg(guesses, ' | ' ORDER BY run) AS guesses,
  flatten(list(truth_scores ORDER BY run)) AS truth_scores,
  min(first_learned) AS first_learned,
  CASE WHEN bool_and(coalesce(learned_last > coalesce(wrong_last, 0), false)) THEN max(learned_last) END AS stable_since,
  CAST(sum(flips) AS BIGINT) AS flips,
  max(alike) / count(*) AS agreement,
  count(*) AS runs
FROM with_alike
GROUP BY id, truth
ORDER BY id, truth
