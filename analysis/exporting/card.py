"""The card of a data-set folder: what its rows are, in words for people and in YAML for `datasets`."""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from secondguess.analysis.answers.answer import Answer, Row
from secondguess.analysis.answers.files import write_text
from secondguess.analysis.errors import BadInput
from secondguess.analysis.exporting.features import yaml
from secondguess.analysis.schema import is_score, score_index
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.runs import Run

Asked = Callable[[str], tuple[Sequence[str], list[Row]]]
"""From a question's name to the columns and rows of its answer about the table."""

_SECTIONS = {
    "classification": ("Errors by guess", "errors-by-guess"),
    "multi-label": ("Labels", "labels"),
    "regression": ("Errors", "regression"),
}
_NOT_SHOWN = {"run", "epoch", "step", "ids"}
_LISTED = 50  # classes in the prose; the features have all of them
_MEANT = {
    "id": "the example's name in its data set",
    "image": "the example",
    "content": "the example",
    "guess": "what the model said",
    "truth": "the label",
    "confidence": "the score of the guess",
}


@dataclass(frozen=True)
class Contents:
    """What a data-set folder holds: one split of so many rows and bytes, in files of which path is the pattern."""

    split: str
    path: str
    rows: int
    size: int
    columns: Sequence[str]
    features: Sequence[Mapping[str, Any]] = field(default=())


def card(run: Run, epoch: Epoch, contents: Contents, asked: Asked) -> str:
    """The text of README.md: YAML between two lines of dashes, then what the rows are and how they err."""
    info: dict[str, Any] = {"features": list(contents.features)} if contents.features else {}
    info["splits"] = [{"name": contents.split, "num_bytes": contents.size, "num_examples": contents.rows}]
    info |= {"download_size": contents.size, "dataset_size": contents.size}
    files = [{"split": contents.split, "path": contents.path}]
    front = {
        "pretty_name": f"Predictions of {run.name}",
        "tags": ["secondguess", "predictions"],
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": info,
    }
    body = "\n".join(_body(run, epoch, contents, asked))
    return f"---\n{yaml(front)}---\n\n{body}\n"


def _body(run: Run, epoch: Epoch, contents: Contents, asked: Asked) -> Iterator[str]:
    yield f"# Predictions of {_inline(epoch.name)}"
    yield ""
    yield "What a model said of each example, a row each, as `secondguess export` wrote it."
    yield ""
    yield _table(("what", "value"), [*_facts(run, epoch, contents, asked)])
    yield "```python"
    yield "from datasets import load_dataset"
    yield ""
    yield f'rows = load_dataset("this folder", split={json.dumps(contents.split, ensure_ascii=False)})'
    yield "```"
    yield ""
    yield "`secondguess import FOLDER` brings the rows, images and classes back into a store."
    yield ""
    yield "## Columns"
    yield ""
    yield _table(("column", "meaning"), [(name, _meaning(name, epoch)) for name in contents.columns])
    if (config := run.about.get("config")) and isinstance(config, Mapping):
        yield "## Config of the model"
        yield ""
        yield _table(("key", "value"), [(key, _text(value)) for key, value in config.items()])
    head, question = _SECTIONS[epoch.task]
    with suppress(BadInput):  # that the question does not fit, as where there is no label, or a verdict decides
        names, rows = asked(question)
        kept = [place for place, name in enumerate(names) if name not in _NOT_SHOWN]
        yield f"## {head}"
        yield ""
        yield _table([names[place] for place in kept], [tuple(row[place] for place in kept) for row in rows])


def _facts(run: Run, epoch: Epoch, contents: Contents, asked: Asked) -> Iterator[Row]:
    yield "run", run.name
    yield "table", epoch.table
    yield "epoch", str(epoch.moment)
    if run.started is not None:
        yield "begun", run.started
    yield "rows", contents.rows
    if epoch.lacks is None:
        names, rows = asked("errors-over-time")
        said = dict(zip(names, rows[0], strict=True))
        yield "errors", said["errors"]
        yield "accuracy", said["accuracy"]
        yield "unlabelled", said["unlabelled"]
    else:
        yield "errors", f"not known: the table has no {epoch.lacks}"
    if epoch.right is not None:
        yield "judged by", f"the column {epoch.right}"
    if epoch.classes is not None:
        more = f" and {len(epoch.classes) - _LISTED:,} more" if len(epoch.classes) > _LISTED else ""
        yield "classes", ", ".join(epoch.classes[:_LISTED]) + more


def _meaning(name: str, epoch: Epoch) -> str:
    if is_score(name):
        place = score_index(name)
        known = epoch.score_classes
        return f"the score of class {known[place]}" if place is not None and place < len(known) else "a score"
    return _MEANT.get(name, "as it was recorded")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _inline(text: str) -> str:
    """A name within a line, in which no character means anything to Markdown."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}" if fence == "`" else f"{fence} {text} {fence}"


def _table(columns: Sequence[str], rows: Sequence[Row]) -> str:
    out = io.StringIO()
    write_text(Answer(list(columns), [False] * len(columns), rows), "markdown", out)
    return out.getvalue()
