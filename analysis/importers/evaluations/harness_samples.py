"""One file of lm-evaluation-harness samples as a table: input, target, response, verdict, and choices' scores.

What a file holds follows lm_eval's own writer (`loggers/evaluation_tracker.py`) from 0.4.0 to 0.4.13: `arguments` and
`resps` are lists in the older ones, `gen_args_0: {arg_0, …}` and numbers as text in the newer; `filter` and `metrics`
came late, without which every other key is a metric.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import listing
from secondguess.analysis.importers.evaluations import judged
from secondguess.analysis.importers.evaluations.judged import VERDICT, Kept, Row, Values, text_of
from secondguess.analysis.importers.files.json_lines import records
from secondguess.analysis.importers.roles import Given
from secondguess.analysis.importers.source import TableRows

KEYS = frozenset({"doc_id", "doc", "target", "resps", "filtered_resps"})
"""What every sample has, in every version."""
_OTHERS = KEYS | {"arguments", "filter", "metrics", "doc_hash", "prompt_hash", "target_hash"}
_FIRST = ("exact_match", "acc")
_MUTUAL = "acc_mutual_info"
_MOST_CHOICES = 1_000


@dataclass
class _Seen:
    """What the samples of a file are together."""

    filters: set[str] = field(default_factory=set)
    times: Counter[str | None] = field(default_factory=Counter)
    values: dict[str, Values] = field(default_factory=dict)
    choices: list[str] | None = None
    are_choices: bool = True
    same: bool = True
    odd: int = 0


@dataclass(frozen=True)
class Samples:
    """The samples of a file as a table, and the metric that says which are right, None where none does."""

    rows: TableRows
    metric: str | None


def read_samples(path: Path, name: str, folder: Path, filters: Sequence[str] = ()) -> Samples:
    """Read a file of samples, called `name` in messages; raises Damaged, or BadInput where it has none.

    filters are the names of the task's filters in their order, empty where they are not known: for versions whose
    samples do not say theirs.
    """
    seen = _Seen()
    about = judged.kept(_rows(path, name, seen), folder)
    unnamed = _unnamed(seen, filters)
    seen.filters = set(unnamed) or seen.filters
    are_choices = seen.are_choices and seen.choices is not None
    metric = _verdict_metric(seen.values)
    notes = [_said(metric, seen.values)]
    meant = Given(only=True, id=_id(seen), guess="guess", no_scores=True, right=metric and VERDICT)
    reading = None
    if are_choices:
        meant = replace(meant, scores="loglikelihoods", no_scores=False)
        reading, alike = _reading(about, metric) if metric is not None else (None, False)
        if reading is not None:
            meant = replace(meant, truth="truth", right=None if alike else meant.right)
            if not alike:
                notes.append(f"{metric} is not in every row what guess against target says: {metric} decides")
    elif not any(row["guess"] is not None for row in about.lines()):
        meant = replace(meant, guess=None)
    rows = _finished(_filtered(about, unnamed), seen, metric, reading if are_choices else None, are_choices)
    left = {"have no verdict": about.rows - (seen.values[metric].there if metric else about.rows)}
    left["are no sample of the kind that the others are"] = seen.odd
    notes += [*judged.said_of(left, about.rows), *_of_ids(seen, bool(unnamed))]
    table = judged.table_of(rows, name, folder, meant, notes)
    about.path.unlink()
    return Samples(table, metric)


def _id(seen: _Seen) -> str:
    return "doc_id,filter" if len(seen.filters) > 1 else "doc_id"


def _unnamed(seen: _Seen, filters: Sequence[str]) -> list[str]:
    """The filters where samples do not say theirs, and each document is there as often as there are filters."""
    times = set(seen.times.values())
    if seen.filters != {""} or len(times) != 1 or times == {1}:
        return []
    (count,) = times
    if filters:  # of a task with fewer filters the same samples are there again
        return list(filters) if len(filters) == count else []
    return [str(number) for number in range(1, count + 1)]


def _filtered(about: Kept, unnamed: Sequence[str]) -> Iterator[Row]:
    """The rows with their filters: lm_eval writes the samples of one filter after those of another."""
    times: Counter[str | None] = Counter()
    for row in about.lines():
        if unnamed:
            row["filter"] = unnamed[times[row["doc_id"]]]
            times[row["doc_id"]] += 1
        yield row


def _of_ids(seen: _Seen, by_order: bool) -> list[str]:
    if len(seen.filters) < 2:
        return []
    names = listing(sorted(seen.filters), 6)
    by = " (the samples do not say which; lm_eval writes one filter after another)" if by_order else ""
    return [f"each document is there once for each filter: {names}{by}"]


def _said(metric: str | None, values: dict[str, Values]) -> str:
    if metric is not None:
        return f"{VERDICT}: right is where {metric} is 1"
    if not values:
        return "it has no metric, so no row is right or wrong"
    return (
        f"no metric is 0 or 1 in every row ({listing(values, 6)}), so no row is right or wrong; --right names a column "
        "that says it"
    )


def _verdict_metric(values: dict[str, Values]) -> str | None:
    binary = [name for name, one in values.items() if one.judge and not one.between]
    return next((name for name in (*_FIRST, *values) if name in binary), None)


# What one sample says.


def _rows(path: Path, name: str, seen: _Seen) -> Iterator[Row]:
    for record in records(path, name):
        if not record.keys() >= KEYS:
            seen.odd += 1
            continue
        yield _row(record, seen)


def _row(record: Row, seen: _Seen) -> Row:
    asked = _requests(record.get("arguments"))
    answers = record["filtered_resps"]
    answers = answers if isinstance(answers, list) else [answers]
    metrics = _metrics(record)
    for name, value in metrics.items():
        seen.values.setdefault(name, Values()).add(value, _number(value))
    pairs = [_pair(one) for one in answers]
    row: Row = {"doc_id": text_of(record["doc_id"]), "filter": text_of(record.get("filter"))}
    seen.filters.add(row["filter"] or "")
    seen.times[row["doc_id"]] += 1
    row |= {"input": _input(asked), "target": text_of(record["target"]), "response": None, "guess": None}
    if pairs and all(pair is not None for pair in pairs):
        numbers = [pair for pair in pairs if pair is not None]
        if len(numbers) > 1:
            row |= _choices(asked, numbers, _MUTUAL in metrics)
        else:
            row["loglikelihood"] = numbers[0]
    elif len(answers) == 1 and len(asked) == 1 and len(asked[0]) == 1 and _number(answers[0]) is not None:
        row["loglikelihood"] = _number(answers[0])  # of a whole text: what is generated is asked for with its settings
    else:
        row |= {"response": _response(record["resps"]), "guess": text_of(answers)}
    _see_choices(row, seen)
    hashed = {key: text_of(record[key]) for key in ("doc_hash",) if key in record}
    return row | {"metrics": metrics, "doc": text_of(record["doc"])} | hashed


def _requests(arguments: Any) -> list[list[Any]]:
    """The requests that were made for a sample, each with its arguments: a context, and what should follow it."""
    if isinstance(arguments, dict):
        arguments = list(arguments.values())
    if not isinstance(arguments, list):
        return []
    return [
        list(one.values()) if isinstance(one, dict) else one if isinstance(one, list) else [one] for one in arguments
    ]


def _input(asked: Sequence[Sequence[Any]]) -> str | None:
    contexts = [text_of(one[0]) or "" for one in asked if one]
    if not contexts:
        return None
    return contexts[0] if len(set(contexts)) == 1 or not contexts[-1] else _begun_alike(contexts) or contexts[0]


def _begun_alike(texts: Sequence[str]) -> str:
    """What all texts begin with, letter by letter."""
    first, last = min(texts, default=""), max(texts, default="")
    return next((first[:at] for at, letter in enumerate(first) if letter != last[at : at + 1]), first)


def _metrics(record: Row) -> Row:
    told = record.get("metrics")
    names = told if isinstance(told, list) else [key for key in record if key not in _OTHERS]
    return {
        str(name): value if isinstance(value := record.get(str(name)), int | float) else text_of(value)
        for name in names
        if str(name) not in _OTHERS and record.get(str(name)) is not None
    }


def _number(value: Any) -> float | None:
    """What a metric's or a response's value is as a number; None for another, NaN too."""
    if isinstance(value, bool | int | float):
        return float(value)
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _pair(answer: Any) -> float | None:
    """The log-likelihood of a response that is one, with whether it is the greedy one."""
    if not isinstance(answer, list) or len(answer) != 2 or str(answer[1]) not in {"True", "False"}:
        return None
    return _number(answer[0])


def _choices(asked: Sequence[Sequence[Any]], numbers: Sequence[float], mutual: bool) -> Row:
    """The choices with their log-likelihoods; where they are weighed against those without a context, the former."""
    if mutual and len(numbers) % 2 == 0 and len(numbers) == len(asked):
        half = len(numbers) // 2
        if all(not text_of(one[0]) for one in asked[half:] if one):
            asked, numbers = asked[:half], numbers[:half]
    texts = [text_of(one[1]) or "" if len(one) > 1 else "" for one in asked]
    if len(set(texts)) == 1:  # what follows is the same, the contexts differ
        contexts = [text_of(one[0]) or "" for one in asked if one]
        shared = len(_begun_alike(contexts))
        texts = [context[shared:] for context in contexts]
    if len(texts) != len(numbers):
        texts = [str(place) for place in range(len(numbers))]
    bare = [text.strip() for text in texts]
    bare = bare if len(set(bare)) == len(set(texts)) else texts
    there = [place for place, number in enumerate(numbers) if number == number]
    best = max(there, key=lambda place: numbers[place], default=None)
    return {"choices": bare, "numbers": list(numbers), "best": best, "response": None if best is None else bare[best]}


def _response(resps: Any) -> str | None:
    """What the model said: the one text, or all of several as JSON."""
    return text_of(resps[0] if isinstance(resps, list) and len(resps) == 1 else resps)


def _see_choices(row: Row, seen: _Seen) -> None:
    choices = row.get("choices")
    if choices is None:
        seen.are_choices = False
        return
    if seen.choices is None:
        seen.choices = choices
    seen.same = seen.same and choices == seen.choices and len(set(choices)) == len(choices) and all(choices)
    seen.are_choices = seen.are_choices and len(choices) <= _MOST_CHOICES


# What they are together.


def _reading(about: Kept, metric: str) -> tuple[str | None, bool]:
    """How targets name choices, `place` or `text`, None where they do not; whether guess against truth is the verdict.

    lm_eval writes both as text, so that "0" may be the first choice or the choice 0: the verdicts tell.
    """
    best: tuple[str | None, bool] = (None, False)
    for reading in ("place", "text"):
        truths, alike = judged.agreeing(
            about,
            lambda row: row["best"],
            lambda row, reading=reading: _place(row, reading),  # type: ignore[misc]
            lambda row: _verdict(row, metric),
        )
        if truths == about.rows and alike == about.rows:
            return reading, True
        if truths == about.rows and best[0] is None:
            best = (reading, False)
    return best


def _verdict(row: Row, metric: str | None) -> bool | None:
    number = _number(row["metrics"].get(metric))
    return None if number is None or number != number else number == 1


def _place(row: Row, reading: str) -> int | None:
    """Which choice the target is, from 0."""
    target, choices = (row["target"] or "").strip(), row["choices"]
    if reading == "place":
        place = int(target) if target.isdecimal() and len(target) < 5 else len(choices)
        return place if place < len(choices) else None
    bare = [choice.strip() for choice in choices]
    return bare.index(target) if target in bare else None


def _finished(
    rows: Iterable[Row], seen: _Seen, metric: str | None, reading: str | None, are_choices: bool
) -> Iterator[Row]:
    """The rows with the columns that they are to have."""
    named = are_choices and seen.same
    for row in rows:
        done: Row = {"doc_id": row["doc_id"]}
        if seen.filters != {""}:
            done["filter"] = row["filter"] or ""
        done |= {name: row[name] for name in ("input", "target", "response")}
        done[VERDICT] = _verdict(row, metric)
        if are_choices:
            place = _place(row, reading) if reading is not None else None
            keys = row["choices"] if named else [str(at) for at in range(len(row["choices"]))]
            done["guess"] = _label(row["best"], keys, named)
            if reading is not None:
                done["truth"] = _label(place, keys, named)
            done["loglikelihoods"] = dict(zip(keys, row["numbers"], strict=True))
            if not named:
                done["choices"] = row["choices"]
        else:
            done["guess"] = row["guess"]
            if "loglikelihood" in row:
                done["loglikelihood"] = row["loglikelihood"]
        for name in seen.values:
            done[judged.own_name(name, "metric")] = row["metrics"].get(name)
        yield done | {name: row[name] for name in ("doc", "doc_hash") if name in row}


def _label(place: int | None, keys: Sequence[str], named: bool) -> str | int | None:
    return None if place is None else keys[place] if named else place
