"""Scores in one cell, images as content or by name, guesses in lists: what they are comes out as it is meant."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import secondguess as sg
from secondguess.analysis.cli import main

SCORES = [[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.2, 0.6, 0.2]]
LABELS, GUESSES = [0, 2, 1], [0, 1, 1]
NAMES = ["ant", "bee", "cat"]
STRUCTS = [dict(zip(NAMES, row, strict=True)) for row in SCORES]


def png(color: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), color, np.uint8)).save(out, "PNG")
    return out.getvalue()


def taken(path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(["import", str(path), "--run", "r", "--store", str(path.parent / "s"), *words])
    return capsys.readouterr().out


def rows(folder: Path, columns: str) -> list[tuple[Any, ...]]:
    return sg.connect(folder / "s").sql(f"SELECT {columns} FROM r ORDER BY id").fetchall()


def parquet(folder: Path, columns: dict[str, Any], metadata: dict[bytes, bytes] | None = None) -> Path:
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), folder / "t.parquet")
    return folder / "t.parquet"


def features(**about: Any) -> dict[bytes, bytes]:
    return {b"huggingface": json.dumps({"info": {"features": about}}).encode()}


@pytest.mark.parametrize(
    "cells",
    [
        pa.array(SCORES, pa.list_(pa.float32())),
        pa.array(SCORES, pa.large_list(pa.float64())),
        pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(SCORES)), 3),
        pa.array(list(map(json.dumps, SCORES))),
        pa.array(["[0.7, 0.2, 0.1]", "[0.1,0.5,0.4]", "[ 0.2, 0.6, 0.2 ]"]),
    ],
    ids=["list", "large_list", "fixed", "json", "spaces"],
)
@pytest.mark.parametrize("named", [True, False])
def test_scores_in_a_list_are_the_classes_in_order(tmp_path: Path, capsys, cells: pa.Array, named: bool) -> None:
    columns = {"id": ["a", "b", "c"], "label": LABELS, "pred": GUESSES, "probs" if named else "out": cells}
    taken(parquet(tmp_path, columns), capsys, *([] if named else ["--scores", "out"]))
    assert rows(tmp_path, "id, guess, truth, round(confidence, 3), round(truth_score, 3), round(score_2, 3)") == [
        ("a", 0, 0, pytest.approx(0.7), pytest.approx(0.7), pytest.approx(0.1)),
        ("b", 1, 2, pytest.approx(0.5), pytest.approx(0.4), pytest.approx(0.4)),
        ("c", 1, 1, pytest.approx(0.6), pytest.approx(0.6), pytest.approx(0.2)),
    ]


@pytest.mark.parametrize(
    "cells",
    [
        pa.array(STRUCTS),
        pa.array([list(one.items()) for one in STRUCTS], pa.map_(pa.string(), pa.float64())),
        pa.array(list(map(json.dumps, STRUCTS))),
        pa.array([[{"label": name, "score": one[name]} for name in NAMES] for one in STRUCTS]),
        pa.array([json.dumps([{"label": name, "score": one[name]} for name in NAMES]) for one in STRUCTS]),
    ],
    ids=["struct", "map", "json", "pairs", "json pairs"],
)
def test_scores_that_name_their_classes_do(tmp_path: Path, capsys, cells: pa.Array) -> None:
    """No column has the guess: it follows."""
    columns = {"id": ["a", "b", "c"], "label": ["ant", "cat", "bee"], "scores": cells}
    assert "classes = ant, bee, cat (as scores has them)" in taken(parquet(tmp_path, columns), capsys)
    assert rows(tmp_path, "id, guess, truth, round(confidence, 3)") == [
        ("a", "ant", "ant", pytest.approx(0.7)),
        ("b", "bee", "cat", pytest.approx(0.5)),
        ("c", "bee", "bee", pytest.approx(0.6)),
    ]


def test_a_class_label_s_names_are_used(tmp_path: Path, capsys) -> None:
    kind = {"names": NAMES, "_type": "ClassLabel"}
    columns = {"id": ["a", "b", "c"], "label": LABELS, "pred": GUESSES, "probs": pa.array(SCORES)}
    said = taken(parquet(tmp_path, columns, features(label=kind, pred=kind)), capsys)
    assert "classes = ant, bee, cat (as the file's ClassLabel names them)" in said
    assert rows(tmp_path, "guess, truth, round(truth_score, 3)") == [
        ("ant", "ant", pytest.approx(0.7)),
        ("bee", "cat", pytest.approx(0.4)),
        ("bee", "bee", pytest.approx(0.6)),
    ]


@pytest.mark.parametrize("cells", [[["x"], ["y"]], ['["x"]', '["y"]'], ["['x']", "['y']"]])
def test_a_guess_that_is_a_list_of_one_is_that_one(tmp_path: Path, capsys, cells: list[Any]) -> None:
    said = taken(parquet(tmp_path, {"id": ["a", "b"], "target": ["x", "x"], "filtered_resps": cells}), capsys)
    assert "filtered_resps has lists of one" in said
    assert rows(tmp_path, "guess, truth") == [("x", "x"), ("y", "x")]


def test_of_the_likeliest_classes_the_first_is_the_guess(tmp_path: Path, capsys) -> None:
    (tmp_path / "t.csv").write_text("img,true_class,top1_class,top1_prob,top2_class,top2_prob\na,x,x,0.5,y,0.25\n")
    taken(tmp_path / "t.csv", capsys)
    assert rows(tmp_path, "id, guess, truth, confidence, top2_class, top2_prob") == [("a", "x", "x", 0.5, "y", 0.25)]


def test_images_come_as_bytes_base64_and_files_beside(tmp_path: Path, capsys) -> None:
    """All three are the same two images, so the examples have the same digests."""
    contents = [png(10), png(200)]
    for at, content in enumerate(contents):
        (tmp_path / f"{at}.png").write_bytes(content)
    cells = {
        "bytes": pa.array(contents, pa.binary()),
        "base64": [base64.b64encode(content).decode() for content in contents],
        "data": [f"data:image/png;base64,{base64.b64encode(content).decode()}" for content in contents],
        "files": ["0.png", "./1.png"],
    }
    digests = set()
    for kind, images in cells.items():
        folder = tmp_path if kind == "files" else tmp_path / kind
        folder.mkdir(exist_ok=True)
        columns = {"id": ["a", "b"], "image": images, "label": ["x", "y"], "pred": ["x", "x"]}
        assert "2 images" in taken(parquet(folder, columns), capsys)
        digests.add(tuple(sg.connect(folder / "s").sql("SELECT id, digest FROM examples ORDER BY id").fetchall()))
    assert len(digests) == 1
    assert rows(tmp_path, "source_image") == [("0.png",), ("./1.png",)]


def test_images_that_are_gone_are_counted_and_addresses_are_text(tmp_path: Path, capsys) -> None:
    (tmp_path / "0.png").write_bytes(png(1))
    (tmp_path / "t.csv").write_text("id,image,label,pred\na,0.png,x,x\nb,gone.png,x,y\nc,,x,x\n")
    said = taken(tmp_path / "t.csv", capsys)
    assert "1 images, 1 missing" in said
    assert "no image file 'gone.png'" in said
    (tmp_path / "t.csv").write_text("id,image,label,pred\na,https://there/0.png,x,x\nb,https://there/1.png,x,y\n")
    assert "image" not in taken(tmp_path / "t.csv", capsys, "--overwrite").splitlines()[1]
    assert rows(tmp_path, "source_image") == [("https://there/0.png",), ("https://there/1.png",)]
    said = taken(tmp_path / "t.csv", capsys, "--overwrite", "--image", "image")
    assert "is an address; nothing is fetched" in said


def test_only_a_person_leads_out_of_the_file_s_folder(tmp_path: Path, capsys) -> None:
    (tmp_path / "0.png").write_bytes(png(1))
    folder = tmp_path / "below"
    folder.mkdir()
    (folder / "t.csv").write_text("id,image,label,pred\na,../0.png,x,x\n")
    assert "1 images" not in taken(folder / "t.csv", capsys)
    assert "1 images" in taken(folder / "t.csv", capsys, "--image", "image", "--overwrite")


def test_hugging_face_s_images_are_images_whatever_the_column_is_called(tmp_path: Path, capsys) -> None:
    cells = pa.array([{"bytes": png(1), "path": "0.png"}], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    columns = {"id": ["a"], "scan": cells, "label": ["x"], "pred": ["x"]}
    assert "image = scan" in taken(parquet(tmp_path, columns, features(scan={"_type": "Image"})), capsys)
    assert sg.connect(tmp_path / "s").sql("SELECT count(*) FROM examples").fetchall() == [(1,)]


def test_a_guess_that_is_a_label_and_a_score_is_both(tmp_path: Path, capsys) -> None:
    cells = [{"label": "x", "score": 0.9}, {"label": "x", "score": 0.6}]
    said = taken(parquet(tmp_path, {"id": ["a", "b"], "label": ["x", "y"], "prediction": cells}), capsys)
    assert "prediction has a label and a score in each cell" in said
    assert rows(tmp_path, "guess, truth, round(confidence, 2)") == [
        ("x", "x", pytest.approx(0.9)),
        ("x", "y", pytest.approx(0.6)),
    ]


@pytest.mark.parametrize("cells", [[[0.2], [0.9]], ["[0.2]", "[0.9]"]])
def test_one_sigmoid_in_a_list_is_the_probability(tmp_path: Path, capsys, cells: list[Any]) -> None:
    taken(parquet(tmp_path, {"id": ["a", "b"], "label": [1, 1], "probs": cells}), capsys)
    assert rows(tmp_path, "guess, truth, round(score_1, 2)") == [
        (0, 1, pytest.approx(0.2)),
        (1, 1, pytest.approx(0.9)),
    ]


def test_a_guess_that_is_a_list_of_probabilities_is_the_highest(tmp_path: Path, capsys) -> None:
    taken(parquet(tmp_path, {"id": ["a", "b", "c"], "label": LABELS, "pred": SCORES}), capsys)
    assert rows(tmp_path, "guess, truth") == [(0, 0), (1, 2), (1, 1)]


def test_lists_of_other_lengths_stay_and_are_said(tmp_path: Path, capsys) -> None:
    columns = {"id": ["a", "b"], "label": ["x", "y"], "pred": ["x", "x"], "probs": [[0.5, 0.5], [0.5, 0.2, 0.3]]}
    assert "probs has lists of 2, 3 numbers" in taken(parquet(tmp_path, columns), capsys)
    assert rows(tmp_path, "confidence, probs") == [(None, [0.5, 0.5]), (None, [0.5, 0.2, 0.3])]


def test_nested_columns_and_decimals_without_a_role_stay(tmp_path: Path, capsys) -> None:
    columns = {"id": ["a"], "label": ["x"], "pred": ["x"], "vector": [[0.5, 0.25]], "about": [{"by": "me"}]}
    taken(parquet(tmp_path, columns), capsys)
    assert rows(tmp_path, "vector, about") == [([0.5, 0.25], {"by": "me"})]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "id,pred,label,score_0,score_1\na,0,0,1e300,0.5\nb,1,1,-1e300,0.5\nc,1,0,0.5,0.5\n"),
        (
            "t.jsonl",
            '{"id":"a","pred":0,"label":0,"scores":[1e300,0.5]}\n{"id":"b","pred":1,"label":1,"scores":[0.5,0.5]}\n',
        ),
    ],
)
def test_a_score_beyond_a_float32_warns_nobody(tmp_path: Path, name: str, text: str) -> None:
    """NumPy warns where it overflows, and warnings are errors here."""
    (tmp_path / name).write_text(text)
    for more in ([], ["--scores", "score_*" if name == "t.csv" else "scores"]):
        main(["import", str(tmp_path / name), *more, "--run", f"r{len(more)}", "--store", str(tmp_path / "s")])
