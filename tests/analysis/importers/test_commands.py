"""The commands that a refused import offers: run as they are printed, each imports."""

import re
import shlex
from pathlib import Path

import pyarrow  # with which an import stays in the test's process  # noqa: F401
import pytest

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.importers.commands import Commands, Typed

TYPED = Typed(("a b.csv", "c.csv"), (("run", "r"), ("no-scores", True), ("missing", "NA"), ("missing", "-")))


@pytest.mark.parametrize(
    ("more", "command"),
    [
        ({}, "secondguess import 'a b.csv' c.csv --run r --no-scores --missing NA --missing -"),
        ({"guess": "p >= 0.5", "run": "q"}, "--guess 'p >= 0.5' --run q --no-scores --missing NA --missing -"),
        ({"run": "", "run_column": "m"}, "c.csv --no-scores --run-column m --missing NA --missing -"),
        ({"scores": "p_*", "softmax": True}, "--run r --scores 'p_*' --softmax --missing NA --missing -"),
        ({"truth": None}, "c.csv --run r --no-scores"),
    ],
)
def test_what_is_offered_takes_the_place_of_what_was_typed(more: dict[str, str | bool | None], command: str) -> None:
    assert command in Commands(TYPED).with_(**more)


@pytest.mark.parametrize(
    ("files", "words", "offers"),
    [
        (
            {"a.csv": "id;label;guess|1;0;cat|2;1;dog", "b.csv": "id;label;guess|3;NA;cat|4;1;dog"},
            "--run r --delimiter ;",
            3,
        ),
        ({"a b.csv": "id,label,pred|1,0,-2.5|2,1,1.5"}, "--missing=-", 2),
        ({"a.csv": "id,label,score|1,0,.9|2,1,.8"}, "--encoding utf-16 --epoch 3", 2),
        ({"a.csv": "id,label,p_a,p_b|1,a,2,1|2,b,1,4"}, "--overwrite --no-quotes", 3),
    ],
)
def test_each_offer_imports_what_was_refused(
    tmp_path: Path, monkeypatch, capsys, files: dict[str, str], words: str, offers: int
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        encoding = "utf-16" if "utf-16" in words else None
        (tmp_path / name).write_text(text.replace("|", "\n") + "\n", encoding=encoding)
    given = [*files, *words.split(), "--missing", "NA", "--store", "my store"]
    with pytest.raises(SystemExit):
        main(["import", *given])
    said = capsys.readouterr().err
    found = re.findall(r"secondguess (import .*?)(?=; or |\n)", said)
    assert len(found) == offers
    for offer in found:
        main([*shlex.split(offer), "--run", "again"])
        count = sum(text.count("|") for text in files.values())
        assert sg.connect("my store").sql("SELECT count(*) FROM again").fetchall() == [(count,)]
        main(["rm", "again", "--yes", "--store", "my store"])
