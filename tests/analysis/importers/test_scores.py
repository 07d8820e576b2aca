"""Scores of other people's files under the classes that a person names: each is that of the class it is called as."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

import secondguess as sg
from secondguess.analysis.cli import main

# By hand: of a the cat is likely, of b the ox.
LIKELY = {"a": {"cat": 0.75, "ox": 0.25}, "b": {"cat": 0.375, "ox": 0.625}}
GUESSES = {"a": "cat", "b": "ox"}


def written(path: Path, kind: str, guesses: dict[str, Any]) -> Path:
    if kind == "cells":
        lines = [
            json.dumps({"id": id_, "guess": guesses[id_], "scores": dict(sorted(scores.items(), reverse=True))})
            for id_, scores in LIKELY.items()
        ]
    else:
        lines = ["id,guess,prob_ox,prob_cat"]
        lines += [f"{id_},{guesses[id_]},{scores['ox']},{scores['cat']}" for id_, scores in LIKELY.items()]
    file = path / ("t.jsonl" if kind == "cells" else "t.csv")
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize("kind", ["cells", "columns"])
@pytest.mark.parametrize("guesses", [GUESSES, {"a": 0, "b": 1}])
def test_scores_follow_their_names_into_the_order_of_the_classes(
    tmp_path: Path, capsys, kind: str, guesses: dict[str, Any]
) -> None:
    file = written(tmp_path, kind, guesses)
    main(["import", str(file), "--run", "r", "--store", f"{tmp_path}/s", "--classes", "cat,ox"])
    assert "highest score" not in capsys.readouterr().out
    found = sg.connect(tmp_path / "s").sql("SELECT id, guess, confidence, score_0, score_1 FROM r ORDER BY id")
    assert found.fetchall() == [("a", "cat", 0.75, 0.75, 0.25), ("b", "ox", 0.625, 0.375, 0.625)]


@pytest.mark.parametrize("in_cells", [False, True])
def test_scores_follow_their_names_into_the_order_of_a_class_label(tmp_path: Path, capsys, in_cells: bool) -> None:
    label, share = datasets.ClassLabel(names=["cat", "ox"]), datasets.Value("float32")
    features: dict[str, Any] = {"id": datasets.Value("string"), "guess": label}
    rows: dict[str, Any] = {"id": ["a", "b"], "guess": [0, 1]}
    if in_cells:
        features["scores"] = {"ox": share, "cat": share}
        rows["scores"] = list(LIKELY.values())
    else:
        features |= {"prob_ox": share, "prob_cat": share}
        rows |= {f"prob_{name}": [scores[name] for scores in LIKELY.values()] for name in ("ox", "cat")}
    datasets.Dataset.from_dict(rows, datasets.Features(features)).to_parquet(tmp_path / "t.parquet")
    main(["import", str(tmp_path / "t.parquet"), "--run", "r", "--store", f"{tmp_path}/s", "--guess", "guess"])
    assert "classes = cat, ox" in capsys.readouterr().out
    found = sg.connect(tmp_path / "s").sql("SELECT id, confidence, score_0, score_1 FROM r ORDER BY id")
    assert found.fetchall() == [("a", 0.75, 0.75, 0.25), ("b", 0.625, 0.375, 0.625)]


IN_LISTS = {"probs": [[0.75, 0.25], [0.375, 0.625]]}
IN_STRUCTS = {"scores": [{"ox": one["ox"], "cat": one["cat"]} for one in LIKELY.values()]}
IN_COLUMNS = {f"prob_{name}": [one[name] for one in LIKELY.values()] for name in ("ox", "cat")}
NUMBERED = {"prob_1": IN_COLUMNS["prob_ox"], "prob_0": IN_COLUMNS["prob_cat"]}
# As a transformers pipeline has them, the likeliest first.
OF_PIPELINE = {
    "preds": [
        [{"label": "LABEL_0", "score": 0.75}, {"label": "LABEL_1", "score": 0.25}],
        [{"label": "LABEL_1", "score": 0.625}, {"label": "LABEL_0", "score": 0.375}],
    ]
}


def imported(folder: Path, columns: dict[str, Any], label: Any, *words: str) -> list[tuple[Any, ...]]:
    """Guess, truth, confidence and scores of rows whose true labels are the numbers 0 and 1."""
    rows = datasets.Dataset.from_dict({"id": ["a", "b"], "label": [0, 1], **columns})
    rows.cast_column("label", label).to_parquet(folder / "t.parquet")
    main(["import", str(folder / "t.parquet"), "--run", "r", "--store", f"{folder}/s", *words])
    found = sg.connect(folder / "s").sql("SELECT guess, truth, confidence, score_0, score_1 FROM r ORDER BY id")
    return list(found.fetchall())


@pytest.mark.parametrize("columns", [IN_LISTS, IN_STRUCTS, IN_COLUMNS, NUMBERED, OF_PIPELINE])
@pytest.mark.parametrize(
    ("label", "words"),
    [(datasets.ClassLabel(names=["cat", "ox"]), []), (datasets.Value("int64"), ["--classes", "cat,ox"])],
)
def test_the_guess_of_the_scores_is_named_as_the_truth_is(
    tmp_path: Path, columns: dict[str, Any], label: Any, words: list[str]
) -> None:
    rows = [("cat", "cat", 0.75, 0.75, 0.25), ("ox", "ox", 0.625, 0.375, 0.625)]
    assert imported(tmp_path, columns, label, *words) == rows


@pytest.mark.parametrize("guess", [{}, {"guess": [0, 1]}])
def test_label_0_is_the_class_0(tmp_path: Path, guess: dict[str, Any]) -> None:
    rows = [("LABEL_0", "LABEL_0", 0.75, 0.75, 0.25), ("LABEL_1", "LABEL_1", 0.625, 0.375, 0.625)]
    assert imported(tmp_path, {**guess, **OF_PIPELINE}, datasets.Value("int64")) == rows


def test_numbers_of_classes_that_cells_name_are_asked_for(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        imported(tmp_path, IN_STRUCTS, datasets.Value("int64"))
    said = capsys.readouterr().err
    assert "'label' has numbers, and the scores name their classes in any order; say which is which: " in said
    for order in ("cat,ox", "ox,cat"):
        assert f"--truth label --run r --classes {order} --store {tmp_path}/s" in said
    assert not (tmp_path / "s" / "r").exists()
