-- Precision, recall, F1 and support of each class, and accuracy, averages, top-k, kappa and MCC, with intervals
-- epochs: last
-- tables: 1..n
-- tasks: classification
-- verdicts: refused
-- steps: told
-- $level level = 0.95  how sure the intervals are
-- $k int = 5  of top-k
-- Classes are those that are a truth or a guess. A row without a guess counts as wrong: for its truth, against no class.
-- n is what a measure is counted over: labelled rows, a class's guesses (precision), its support (recall), or both (f1).
-- What nothing is counted over is 0, as in scikit-learn, with an interval from 0 to 1; kappa is then NULL.
-- Intervals of shares are Wilson's; f1's follows from Wilson's of tp / (tp + fp + fn). Those of macro averages are put
-- together from those of the classes (Zou and Donner 2008, Construction of confidence limits), the others are Wilson's for
-- so many rows as have the variance that the delta method gives (multinomial over the confusion matrix); of macro_f1, whose
-- classes share their errors, the wider of both is taken. top_k: fewer than k classes have a higher score than the truth.
WITH counted AS (
  SELECT run, epoch, moment, truth, guess, CAST(count(*) AS DOUBLE) AS n
  FROM (SELECT *, coalesce(at_step, -1) AS moment FROM predictions)
  WHERE truth IS NOT NULL
  GROUP BY run, epoch, moment, truth, guess
),
cells AS (
  SELECT run, epoch, moment, truth, guess, n / sum(n) OVER (PARTITION BY run, epoch, moment) AS share FROM counted
),
marginals AS (
  SELECT run, epoch, moment, class, sum(truths) AS truths, sum(guesses) AS guesses, sum(hits) AS hits
  FROM (
    SELECT run, epoch, moment, truth AS class, share AS truths, 0 AS guesses, CASE WHEN truth = guess THEN share ELSE 0 END AS hits
    FROM cells
    UNION ALL
    SELECT run, epoch, moment, guess, 0, share, 0 FROM cells WHERE guess IS NOT NULL
  )
  GROUP BY run, epoch, moment, class
),
-- Each class with its measures and how they change with the share of a hit, of a truth, of a guess.
by_class AS (
  SELECT
    *,
    coalesce(hits / nullif(guesses, 0), 0) AS as_precision,
    coalesce(hits / nullif(truths, 0), 0) AS as_recall,
    2 * hits / (truths + guesses) AS as_f1,
    coalesce(1 / nullif(guesses, 0), 0) AS per_guess,
    coalesce(1 / nullif(truths, 0), 0) AS per_truth,
    1 / (truths + guesses) AS per_either
  FROM marginals
),
whole AS (
  SELECT
    c.run,
    c.epoch,
    c.moment,
    any_value(t.n) AS n,
    CAST(count(*) AS DOUBLE) AS classes,
    CAST(count(*) FILTER (WHERE truths > 0) AS DOUBLE) AS true_classes,
    sum(hits) AS observed,
    sum(truths * guesses) AS chance,
    nullif(greatest(1 - sum(truths * truths), 1e-13), 1e-13) AS truths_spread,
    nullif(greatest(1 - sum(guesses * guesses) - pow(1 - sum(guesses), 2), 1e-13), 1e-13) AS guesses_spread,
    sum(guesses) AS guessed,
    avg(as_precision) AS macro_precision,
    avg(as_recall) AS macro_recall,
    avg(as_f1) AS macro_f1,
    sum(truths * as_precision) AS weighted_precision,
    sum(truths * as_f1) AS weighted_f1
  FROM by_class c
  JOIN (SELECT run, epoch, moment, sum(n) AS n FROM counted GROUP BY run, epoch, moment) t ON t.run = c.run AND t.epoch = c.epoch AND t.moment = c.moment
  GROUP BY c.run, c.epoch, c.moment
),
slopes AS (
  SELECT
    c.run,
    c.epoch,
    c.moment,
    c.share,
    w.n,
    (same * t.per_guess - coalesce(g.as_precision * g.per_guess, 0)) / w.classes AS macro_precision,
    (same - t.as_recall) * t.per_truth / w.classes AS macro_recall,
    (same - t.as_recall) * t.per_truth / w.true_classes AS balanced_accuracy,
    ((2 * same - t.as_f1) * t.per_either - coalesce(g.as_f1 * g.per_either, 0)) / w.classes AS macro_f1,
    t.as_precision + same * t.truths * t.per_guess - coalesce(g.truths * g.as_precision * g.per_guess, 0)
      AS weighted_precision,
    t.as_f1 + t.truths * (2 * same - t.as_f1) * t.per_either - coalesce(g.truths * g.as_f1 * g.per_either, 0)
      AS weighted_f1,
    (same * (1 - w.chance) - (1 - w.observed) * (t.guesses + coalesce(g.truths, 0))) / nullif(pow(1 - w.chance, 2), 0)
      AS cohen_kappa,
    (
      same - t.guesses - coalesce(g.truths, 0)
      + (w.observed - w.chance)
        * (t.truths / w.truths_spread + coalesce(g.guesses, 1 - w.guessed) / w.guesses_spread)
    ) / sqrt(w.truths_spread * w.guesses_spread) AS mcc
  FROM (SELECT *, CASE WHEN truth = guess THEN 1.0 ELSE 0.0 END AS same FROM cells) c
  JOIN whole w ON w.run = c.run AND w.epoch = c.epoch AND w.moment = c.moment
  JOIN by_class t ON t.run = c.run AND t.epoch = c.epoch AND t.moment = c.moment AND t.class = c.truth
  LEFT JOIN by_class g ON g.run = c.run AND g.epoch = c.epoch AND g.moment = c.moment AND g.class = c.guess
),
variances AS (
  SELECT run, epoch, moment, measure, (sum(share * slope * slope) - pow(sum(share * slope), 2)) / any_value(n) AS variance
  FROM slopes UNPIVOT (
    slope FOR measure IN (
      macro_precision, macro_recall, balanced_accuracy, macro_f1, weighted_precision, weighted_f1, cohen_kappa, mcc
    )
  )
  GROUP BY run, epoch, moment, measure
),
averages AS (
  SELECT
    run,
    epoch,
    moment,
    n,
    macro_recall * classes / true_classes AS balanced_accuracy,
    macro_precision,
    macro_recall,
    macro_f1,
    weighted_precision,
    weighted_f1,
    (observed - chance) / nullif(1 - chance, 0) AS cohen_kappa,
    coalesce((observed - chance) / sqrt(truths_spread * guesses_spread), 0) AS mcc
  FROM whole
),
-- A measure is least + (1 - least) * share; its interval is Wilson's of that share of so many rows.
measures AS (
  SELECT
    a.run,
    a.epoch,
    a.moment,
    a.measure,
    NULL AS class,
    a.value,
    a.n,
    a.least,
    (a.value - a.least) / (1 - a.least) AS share,
    coalesce((a.value - a.least) * (1 - a.value) / nullif(greatest(v.variance, 0), 0), a.n) AS rows
  FROM (
    SELECT *, CASE WHEN measure IN ('cohen_kappa', 'mcc') THEN -1.0 ELSE 0.0 END AS least
    FROM averages UNPIVOT (
      value FOR measure IN (
        balanced_accuracy, macro_precision, macro_recall, macro_f1, weighted_precision, weighted_f1, cohen_kappa, mcc
      )
    )
  ) a
  LEFT JOIN variances v ON v.run = a.run AND v.epoch = a.epoch AND v.moment = a.moment AND v.measure = a.measure
  UNION ALL
  SELECT w.run, w.epoch, w.moment, s.measure, NULL, w.observed, w.n, 0, w.observed, w.n
  FROM whole w
  CROSS JOIN (VALUES ('accuracy'), ('micro_recall'), ('weighted_recall')) s(measure)
  UNION ALL
  SELECT run, epoch, moment, 'micro_precision', NULL, coalesce(observed / nullif(guessed, 0), 0), n * guessed, 0,
    coalesce(observed / nullif(guessed, 0), 0), n * guessed
  FROM whole
  UNION ALL
  SELECT run, epoch, moment, 'micro_f1', NULL, 2 * observed / (1 + guessed), n, 0, 2 * observed / (1 + guessed), n
  FROM whole
  UNION ALL
  SELECT run, epoch, moment, concat('top_', $k, '_accuracy'), NULL, hits / n, n, 0, hits / n, n
  FROM (
    SELECT run, epoch, moment, CAST(count(*) FILTER (WHERE truth_rank <= $k) AS DOUBLE) AS hits, count(*) AS n
    FROM (SELECT *, coalesce(at_step, -1) AS moment FROM predictions)
    WHERE truth IS NOT NULL
    GROUP BY run, epoch, moment
    HAVING count(truth_rank) > 0
  )
  UNION ALL
  SELECT c.run, c.epoch, c.moment, 'precision', c.class, as_precision, n * guesses, 0, as_precision, n * guesses
  FROM by_class c
  JOIN whole w ON w.run = c.run AND w.epoch = c.epoch AND w.moment = c.moment
  UNION ALL
  SELECT c.run, c.epoch, c.moment, 'recall', c.class, as_recall, n * truths, 0, as_recall, n * truths
  FROM by_class c
  JOIN whole w ON w.run = c.run AND w.epoch = c.epoch AND w.moment = c.moment
  UNION ALL
  SELECT c.run, c.epoch, c.moment, 'f1', c.class, as_f1, n * (truths + guesses), 0,
    hits / (truths + guesses - hits), n * (truths + guesses - hits)
  FROM by_class c
  JOIN whole w ON w.run = c.run AND w.epoch = c.epoch AND w.moment = c.moment
),
bounds AS (
  SELECT
    *,
    (share * rows + $level * $level / 2) / (rows + $level * $level) AS middle,
    $level * sqrt(greatest(share * (1 - share) * rows, 0) + $level * $level / 4) / (rows + $level * $level) AS half
  FROM measures
),
scaled AS (
  SELECT
    *,
    CASE WHEN measure = 'f1' THEN 2 * (middle - half) / (1 + middle - half) ELSE middle - half END AS down,
    CASE WHEN measure = 'f1' THEN 2 * (middle + half) / (1 + middle + half) ELSE middle + half END AS up
  FROM bounds
),
bounded AS (
  SELECT run, epoch, moment, measure, class, value, n,
    least + (1 - least) * greatest(down, 0) AS low,
    least + (1 - least) * least(up, 1) AS high
  FROM scaled
),
macro AS (
  SELECT
    b.run,
    b.epoch,
    b.moment,
    t.measure,
    sqrt(sum(pow(b.value - b.low, 2))) / any_value(CASE WHEN t.measure LIKE 'b%' THEN w.true_classes ELSE w.classes END) AS down,
    sqrt(sum(pow(b.high - b.value, 2))) / any_value(CASE WHEN t.measure LIKE 'b%' THEN w.true_classes ELSE w.classes END) AS up
  FROM bounded b
  JOIN whole w ON w.run = b.run AND w.epoch = b.epoch AND w.moment = b.moment
  JOIN (
    VALUES ('precision', 'macro_precision'), ('recall', 'macro_recall'), ('recall', 'balanced_accuracy'), ('f1', 'macro_f1')
  ) t(of_class, measure) ON t.of_class = b.measure
  WHERE b.class IS NOT NULL AND b.n > 0
  GROUP BY b.run, b.epoch, b.moment, t.measure
)
SELECT
  b.run,
  b.epoch,
  nullif(b.moment, -1) AS step,
  b.measure,
  b.class,
  b.value,
  CASE
    WHEN m.down IS NULL THEN b.low
    WHEN b.measure = 'macro_f1' THEN greatest(least(b.low, b.value - m.down), 0)
    ELSE greatest(b.value - m.down, 0)
  END AS low,
  CASE
    WHEN m.up IS NULL THEN b.high
    WHEN b.measure = 'macro_f1' THEN least(greatest(b.high, b.value + m.up), 1)
    ELSE least(b.value + m.up, 1)
  END AS high,
  CAST(round(b.n) AS BIGINT) AS n
FROM bounded b
LEFT JOIN macro m ON m.run = b.run AND m.epoch = b.epoch AND m.moment = b.moment AND m.measure = b.measure
ORDER BY run, epoch, step NULLS LAST, class NULLS FIRST, measure
