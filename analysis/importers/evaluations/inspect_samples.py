"""The samples of one of Inspect's logs as a table: input, target, response, verdict, and what each scorer said.

Values count as in inspect_ai's `value_to_float`: C, yes and true are 1, P is a half, I, N, no and false are 0, NaN is
no score.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import listing
from secondguess.analysis.importers.evaluations import judged
from secondguess.analysis.importers.evaluations.inspect_log import Head, Log
from secondguess.analysis.importers.evaluations.judged import VERDICT, Kept, Row, Values, text_of
from secondguess.analysis.importers.roles import Given
from secondguess.analysis.importers.source import TableRows

_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_ATTACHED = "attachment://"
_OPTIONAL = ("choices", "explanation", "error", "limit", "metadata")


@dataclass
class _Seen:
    """What the samples of a log are together."""

    values: dict[str, Values] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    epochs: set[int] = field(default_factory=set)
    are_choices: bool = True
    there: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Samples:
    """The samples of a log as a table, and the scorer that says which are right, None where none does."""

    rows: TableRows
    scorer: str | None


def read_samples(log: Log, head: Head, folder: Path) -> Samples:
    """Read a log's samples; raises Damaged, or BadInput where it has none."""
    seen = _Seen()
    about = judged.kept((_row(sample, seen) for sample in log.samples(_order(head))), folder)
    names = list(dict.fromkeys([*_scorers(head, seen), *seen.values]))
    scorer = next((name for name in names if seen.values[name].judge), None)
    id_ = "sample_id,sample_epoch" if len(seen.epochs) > 1 else "sample_id"
    right: str | None = None if scorer is None else VERDICT
    truth = None
    if seen.are_choices and scorer is not None:
        truths, alike = _agreeing(about, scorer, seen)
        truth = "truth" if truths == about.rows else None
        right = None if alike == about.rows else right
    meant = Given(only=True, id=id_, guess="guess" if seen.answers else None, truth=truth, right=right, no_scores=True)
    notes = [*_of_head(head, about), *_of_scorer(scorer, seen), *_counted(about, scorer, seen)]
    rows = judged.table_of(_finished(about, seen, scorer, truth), log.name, folder, meant, notes)
    about.path.unlink()
    return Samples(rows, scorer)


# What one sample says.


def _row(sample: Mapping[str, Any], seen: _Seen) -> Row:
    texts = sample.get("attachments")
    attached = texts if isinstance(texts, dict) else {}
    output = sample.get("output")
    metadata = sample.get("metadata")
    epoch = sample.get("epoch")
    row: Row = {
        "sample_id": text_of(sample.get("id")),
        "sample_epoch": epoch if isinstance(epoch, int) else 1,
        "input": _said(sample.get("input"), attached),
        "target": _target(sample.get("target")),
        "response": _response(output if isinstance(output, dict) else {}, attached),
        "choices": sample.get("choices") or None,
        "error": _part(sample.get("error"), "message"),
        "limit": _part(sample.get("limit"), "type"),
        "metadata": text_of(metadata) if metadata else None,
    }
    scores = sample.get("scores")
    if scores is None and sample.get("score") is not None:  # as logs of 2024 have it
        scores = {"score": sample["score"]}
    row["scores"] = _scores(scores if isinstance(scores, dict) else {}, seen)
    seen.epochs.add(row["sample_epoch"])
    seen.are_choices = seen.are_choices and row["choices"] is not None
    seen.there |= {name for name in _OPTIONAL if row.get(name) is not None}
    seen.counts["ended with an error"] += row["error"] is not None
    seen.counts["ended at a limit"] += row["limit"] is not None
    return row


def _scores(scores: Mapping[str, Any], seen: _Seen) -> dict[str, Row]:
    """What each scorer said: value, answer, explanation; of one that gave several values each on its own."""
    parts: dict[str, Row] = {}
    for scorer, score in scores.items():
        score = score if isinstance(score, dict) else {"value": score}
        value = score.get("value")
        values = {f"{scorer}_{key}": one for key, one in value.items()} if isinstance(value, dict) else {scorer: value}
        for name, one in values.items():
            if isinstance(one, list | dict):
                one = text_of(one)
            seen.values.setdefault(name, Values()).add(one, number_of(one))
            answer = _said(score.get("answer"), {})
            if answer is not None:
                seen.answers.setdefault(name, scorer)
            parts[name] = {"value": one, "answer": answer, "explanation": _said(score.get("explanation"), {})}
            if parts[name]["explanation"] is not None:
                seen.there.add("explanation")
    return parts


def number_of(value: Any) -> float | None:
    """What a score's value counts as; None for a text that is no number, NaN for no score."""
    if isinstance(value, bool | int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    if (number := _LETTERS.get(value, _WORDS.get(value.lower()))) is not None:
        return number
    try:
        return float(value)
    except ValueError:
        return None


def _part(value: Any, key: str) -> str | None:
    return text_of(value.get(key) if isinstance(value, dict) else value)


def _target(target: Any) -> str | None:
    """The target; several that are right are one text, as Inspect's own scorer writes several answers."""
    if isinstance(target, list) and target and all(isinstance(one, str) for one in target):
        return ", ".join(target)
    return text_of(target)


def _said(value: Any, attached: Mapping[str, Any]) -> str | None:
    """A text, or the messages of a chat with their roles; what lies beside the sample is put in."""
    if isinstance(value, str):
        text = attached.get(value.removeprefix(_ATTACHED)) if value.startswith(_ATTACHED) else None
        return text if isinstance(text, str) else value
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        return text_of(value)
    if value and all("role" not in one for one in value):  # the parts of one message
        parts = [one.get("text", one.get("reasoning")) for one in value]
        kinds = [f"[{one.get('type', 'content')}]" for one in value]
        return "\n".join(_said(part, attached) or kind for part, kind in zip(parts, kinds, strict=True))
    told = [(str(one.get("role")), _said(one.get("content"), attached) or "") for one in value]
    if len(told) == 1:
        return told[0][1]
    return "\n\n".join(f"{role}: {text}" for role, text in told)


def _response(output: Mapping[str, Any], attached: Mapping[str, Any]) -> str | None:
    choices = output.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        message = choices[0].get("message")
        return _said(message.get("content") if isinstance(message, dict) else None, attached)
    return _said(output.get("completion") or None, attached)


# What they are together.


def _order(head: Head) -> dict[str, int]:
    """The place of each sample in its data set, by its id."""
    told = head.eval.get("dataset")
    ids = told.get("sample_ids") if isinstance(told, dict) else None
    return {str(id_): place for place, id_ in enumerate(ids)} if isinstance(ids, list) else {}


def _scorers(head: Head, seen: _Seen) -> Iterator[str]:
    """The scorers in the order in which the log's results have them."""
    told = head.results.get("scores")
    for score in told if isinstance(told, list) else ():
        name = score.get("scorer") if isinstance(score, dict) else None
        if isinstance(name, str) and name in seen.values:
            yield name


def _verdict(row: Row, scorer: str | None) -> bool | None:
    score = row["scores"].get(scorer)
    number = None if score is None else number_of(score["value"])
    return None if number is None or math.isnan(number) else number == 1


def _letters(text: str | None) -> str | None:
    """Answers that are letters of choices, however they are set apart."""
    return None if text is None else ", ".join(sorted(text.replace(",", " ").split()))


def _agreeing(about: Kept, scorer: str, seen: _Seen) -> tuple[int, int]:
    return judged.agreeing(
        about,
        lambda row: _letters(row["scores"].get(scorer, {}).get("answer")),
        lambda row: _letters(row["target"]),
        lambda row: _verdict(row, scorer),
    )


def _finished(about: Kept, seen: _Seen, scorer: str | None, truth: str | None) -> Iterator[Row]:
    """The rows with the columns that they are to have."""
    for row in about.lines():
        done: Row = {"sample_id": row["sample_id"]}
        if len(seen.epochs) > 1:
            done["sample_epoch"] = row["sample_epoch"]
        done |= {name: row[name] for name in ("input", "target", "response")}
        done[VERDICT] = _verdict(row, scorer)
        scores = row["scores"]
        told: Row = scores.get(scorer) or next(iter(scores.values()), {})
        if seen.answers:
            answer = told.get("answer")
            done["guess"] = _letters(answer) if truth is not None else answer
        if truth is not None:
            done["truth"] = _letters(row["target"])
        for name in seen.values:
            done[judged.own_name(name, "scorer")] = scores.get(name, {}).get("value")
        row["explanation"] = told.get("explanation")
        yield done | {name: row[name] for name in _OPTIONAL if name in seen.there}


# What is said of them.


def _of_head(head: Head, about: Kept) -> Iterator[str]:
    whole = f"{about.rows:,} of {head.expected:,} samples" if head.expected is not None else f"{about.rows:,} samples"
    if head.status == "started":
        yield f"the log has no end: its run is still going or was cut off; it has {whole}"
    elif head.status != "success":
        why = f": {head.error.splitlines()[0]}" if head.error else ""
        yield f"the run ended as {head.status!r}{why}; the log has {whole}"
    elif head.expected is not None and about.rows != head.expected:
        yield f"the log has {whole}"


def _of_scorer(scorer: str | None, seen: _Seen) -> Iterator[str]:
    if scorer is not None:
        yield f"{VERDICT}: right is where {scorer} counts as 1 (C, yes, true)"
    elif not seen.values:
        yield "no sample has a score, so none is right or wrong"
    else:
        yield (
            f"no scorer's values are all from 0 to 1 ({listing(seen.values, 6)}), so no sample is right or wrong; "
            "--right names a column that says it"
        )


def _counted(about: Kept, scorer: str | None, seen: _Seen) -> Iterator[str]:
    counts = dict(seen.counts)
    if scorer is not None:
        counts["have no score"] = about.rows - seen.values[scorer].there
        counts["have a score between 0 and 1 (P is a half), which is not right"] = seen.values[scorer].between
    yield from judged.said_of(counts, about.rows)
