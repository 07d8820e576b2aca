"""What an agent may read beside the tools' answers: questions with their SQL, and saved views."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from secondguess.analysis.ask import questions
from secondguess.analysis.errors import BadInput, NotFound
from secondguess.analysis.tables import saved

SCHEME = "secondguess://"
QUESTIONS, VIEWS = f"{SCHEME}questions/", f"{SCHEME}views/"


@dataclass(frozen=True)
class Named:
    """A question or a saved view: where it is read, its name, and what it is."""

    uri: str
    name: str
    about: str


def every(store: Path) -> Sequence[Named]:
    """All of them; of a question whose file is none, why."""
    listed = []
    for name in questions.names(store):
        try:
            about = questions.find(store, name).help
        except BadInput as fault:
            about = f"cannot be asked: {fault}"
        listed.append(Named(QUESTIONS + quote(name, safe=""), name, about))
    for name in saved.names(store):
        listed.append(
            Named(VIEWS + quote(name, safe=""), name, f"a saved view: the tool table shows it with saved={name!r}")
        )
    return listed


def read(store: Path, uri: str) -> str:
    """One of them as JSON; raises NotFound naming those there are."""
    if uri.startswith(QUESTIONS):
        question = questions.find(store, unquote(uri.removeprefix(QUESTIONS)))
        said: dict[str, Any] = {**question.told(), "sql": question.sql}
    elif uri.startswith(VIEWS):
        said = saved.load(store, unquote(uri.removeprefix(VIEWS))).as_dict()
    else:
        raise NotFound(f"no resource {uri!r}; there are {QUESTIONS}NAME and {VIEWS}NAME")
    return json.dumps(said, ensure_ascii=False, indent=1)
