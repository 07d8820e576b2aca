"""`secondguess export --hf`: folders that Hugging Face's own `load_dataset` reads, and that come back as they were."""

import datetime
import io
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_sets import loaded
from PIL import Image
from recording import record_prices

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.exporting import data_set
from secondguess.analysis.exporting.features import yaml
from secondguess.analysis.store.check import check
from secondguess.analysis.store.runs import list_runs

NAMES = ["cat", "a \"dog\": no\u0085, 'yes'", "Ä|🐄"]
SCORES = [[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.25, 0.25, 0.5], [0.5, 0.25, 0.25]]


def pictures(count: int) -> np.ndarray:
    return np.arange(count * 12, dtype=np.uint8).reshape(count, 3, 4)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`named`: classes with names, images, own columns, a row without a label; `plain`: numbers, no images; `steps`."""
    store = tmp_path_factory.mktemp("exports") / "predictions"
    with sg.Recorder(store, run="named", classes=NAMES, config={"lr": 0.5, "net|": {"deep": True}}) as recorder:
        for epoch in (1, 2):
            with recorder.table("test_predictions", epoch=epoch) as table:
                table.add(
                    ids=list("abcd"),
                    images=pictures(4),
                    truth=[0, 1, 0, None],
                    scores=np.roll(SCORES, epoch, axis=0),
                    seen=[[1, 2], [], None, [3]],
                    about=[{"n": 1}] * 4,
                )
    with sg.Recorder(store, run="plain") as recorder:
        with recorder.table("eval a-b", epoch=1) as table:
            table.add(ids=range(5), guess=[3, 4, 5, 3, 4], truth=[3, 4, 4, 4, 5], confidence=[0.5] * 5)
        with recorder.table("said", epoch=1) as table:
            table.add(ids=["x"], guess=["yes"], content=["a text"])
    with sg.Recorder(store, run="steps") as recorder, recorder.table("test_predictions", epoch=2, step=7) as table:
        table.add(ids=["x", "y"], guess=[1, 0], truth=[1, 1])
    return store


def export(store: Path, *words: object) -> None:
    main(["export", *map(str, words), "--store", str(store)])


def refused(store: Path, capsys: pytest.CaptureFixture[str], *words: object) -> str:
    with pytest.raises(SystemExit) as stop:
        export(store, *words)
    assert stop.value.code == 1
    return capsys.readouterr().err


def test_load_dataset_shows_images_and_classes_of_an_export(store: Path, tmp_path: Path, capsys: Any) -> None:
    """By the recipe: b is wrong in epoch 1, c in neither, and d has no label."""
    export(store, "named@1", "--hf", tmp_path / "named")
    export(store, "plain/eval a-b", "--hf", tmp_path / "plain")
    export(store, "plain/said", "--hf", tmp_path / "said")
    export(store, "steps@2:7", "--hf", tmp_path / "steps")
    export(store, "named@2", "--no-images", "--hf", tmp_path / "without")
    assert "wrote named/test_predictions@1 to" in capsys.readouterr().out
    folders = [tmp_path / name for name in ("named", "plain", "said", "steps", "without")]
    named, plain, said, steps, without = loaded(tmp_path / "cache", *folders)
    assert list(named) == ["test_predictions"]
    features = named["test_predictions"]["features"]
    assert features["image"] == ["Image", None]
    assert features["guess"] == features["truth"] == ["ClassLabel", NAMES]
    first = named["test_predictions"]["rows"][0]
    assert (first["id"], first["image"], first["guess"], first["truth"]) == ("a", ["L", 4, 3], 0, 0)
    assert [row["truth"] for row in named["test_predictions"]["rows"]] == [0, 1, 0, None]
    assert [row["seen"] for row in named["test_predictions"]["rows"]] == [[1, 2], [], None, [3]]
    assert list(plain) == ["eval_a_b"]
    assert plain["eval_a_b"]["features"]["guess"] == ["Value", None]
    assert [row["guess"] for row in plain["eval_a_b"]["rows"]] == [3, 4, 5, 3, 4]
    (row,) = said["said"]["rows"]
    assert (row["id"], row["content"], row["guess"], row.get("truth")) == ("x", "a text", "yes", None)
    assert [row["guess"] for row in steps["test_predictions"]["rows"]] == [1, 0]
    assert "step" not in steps["test_predictions"]["features"]
    assert "image" not in without["test_predictions"]["features"]


def test_tables_of_several_labels_and_of_numbers_are_exported_and_come_back(tmp_path: Path) -> None:
    store = tmp_path / "s"
    both: dict[str, tuple[Any, Any, Any]] = {
        "tags": ("multi-label", [["cat"], ["cow", "dog"]], [["cat"], ["dog"]]),
        "line": ("regression", [1.5, 2.5], [1.0, 2.5]),
    }
    for run, (task, truth, guess) in both.items():
        with sg.Recorder(store, run=run) as recorder, recorder.table("test_predictions", epoch=1, task=task) as table:
            table.add(ids=["a", "b"], truth=truth, guess=guess)
    for run in ("tags", "line"):
        export(store, run, "--hf", tmp_path / run)
        main(["import", str(tmp_path / run), "--store", str(tmp_path / "t")])
        rows = f'SELECT id, guess, truth FROM "{run}@1" ORDER BY id'
        assert sg.connect(tmp_path / "t").sql(rows).fetchall() == sg.connect(store).sql(rows).fetchall()
    assert "| cow | 0.0000 | 0.0000 | 0.0000 | 1 | 0 | 0 |" in (tmp_path / "tags" / "README.md").read_text()
    assert "| 0.2500 | 0.3536 | -0.2500 |" in (tmp_path / "line" / "README.md").read_text()
    tags, line = loaded(tmp_path / "cache", tmp_path / "tags", tmp_path / "line")
    assert tags["test_predictions"]["rows"][1] == {"id": "b", "guess": ["dog"], "truth": ["cow", "dog"]}
    assert line["test_predictions"]["rows"][0] == {"id": "a", "guess": 1.0, "truth": 1.5}


def test_the_card_says_what_the_questions_say(store: Path, tmp_path: Path) -> None:
    export(store, "named@1", "--hf", tmp_path / "named")
    card = (tmp_path / "named" / "README.md").read_text(encoding="utf-8")
    # Epoch 1 has the scores of d, a, b, c for a, b, c, d: guesses 0, 0, 1, 2 of truths 0, 1, 0 and none.
    for line in (
        "| rows | 4 |",
        "| errors | 2 |",
        "| accuracy | 0.3333 |",
        "| unlabelled | 1 |",
        "| lr | 0.5 |",
        '| net\\| | {"deep": true} |',
        "| score_0 | the score of class cat |",
    ):
        assert line in card.splitlines(), card
    export(store, "plain/said", "--hf", tmp_path / "said")
    card = (tmp_path / "said" / "README.md").read_text(encoding="utf-8")
    assert "| errors | not known: the table has no truth |" in card.splitlines()


def test_an_export_comes_back_as_it_was(store: Path, tmp_path: Path) -> None:
    """Ids, guesses, truths, scores, own columns, the images byte for byte, their digests, epoch, config, classes."""
    again = tmp_path / "again"
    for reference, name in (("named@2", "named"), ("plain/eval a-b", "plain"), ("steps@2:7", "steps")):
        export(store, reference, "--hf", tmp_path / name)
        main(["import", str(tmp_path / name), "--store", str(again)])
    con = duckdb.connect()
    files = "{}/{}/*/*.parquet"
    own = "id, guess, truth, confidence, truth_score, score_0, score_1, score_2, seen, about"
    rows = f"SELECT epoch, {own} FROM read_parquet('{{}}', union_by_name = true) WHERE epoch = 2 ORDER BY id"
    before, after = (con.sql(rows.format(files.format(place, "named"))).fetchall() for place in (store, again))
    assert before == after != []
    pictured = "SELECT id, digest, truth, image FROM read_parquet('{}/examples/test_predictions-*.parquet')"
    before, after = (sorted(con.sql(pictured.format(place)).fetchall(), key=str) for place in (store, again))
    assert before == after
    assert len(after) == 4
    one = sg.connect(again)
    assert one.sql('SELECT id, guess, truth, confidence FROM "plain/eval a-b@1" ORDER BY id').fetchall() == [
        ("0", 3, 3, 0.5),
        ("1", 4, 4, 0.5),
        ("2", 5, 4, 0.5),
        ("3", 3, 4, 0.5),
        ("4", 4, 5, 0.5),
    ]
    assert one.sql('SELECT epoch, at_step, id FROM "steps@2:7" ORDER BY id').fetchall() == [(2, 7, "x"), (2, 7, "y")]
    about = json.loads((again / "named" / "run.json").read_text())
    assert (about["config"], about["classes"]) == ({"lr": 0.5, "net|": {"deep": True}}, NAMES)
    assert check(again).findings == ()


@pytest.mark.parametrize(
    "content", [["one é", "two", "one é"], [[0.5, 1.0], [2.0, 3.0], [4.0, 5.0]]], ids=["texts", "numbers"]
)
def test_texts_and_numbers_that_rows_are_about_come_back(tmp_path: Path, content: Any) -> None:
    with sg.Recorder(tmp_path / "s", run="r") as recorder, recorder.table("test_predictions", epoch=1) as table:
        table.add(content=content, guess=[0, 1, 1], truth=[0, 0, 1])
    export(tmp_path / "s", "r", "--hf", tmp_path / "out")
    main(["import", str(tmp_path / "out"), "--store", str(tmp_path / "t")])
    rows = (
        'SELECT p.id, guess, p.truth, e.digest, e.content FROM "r@1" p JOIN examples e USING (examples, id) ORDER BY 1'
    )
    before, after = (sg.connect(tmp_path / place).sql(rows).fetchall() for place in ("s", "t"))
    assert before == after
    assert len(after) == 3
    assert check(tmp_path / "t").findings == ()


def test_a_verdict_comes_back(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,guess,correct\n1,a,true\n2,b,false\n3,b,\n")
    main(["import", str(tmp_path / "p.csv"), "--right", "correct", "--run", "r", "--store", str(tmp_path / "s")])
    export(tmp_path / "s", "r", "--hf", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text().splitlines()
    assert {"| errors | 1 |", "| accuracy | 0.5000 |", "| judged by | the column correct |"} <= {*card}
    main(["import", str(tmp_path / "out"), "--store", str(tmp_path / "t")])
    rows = 'SELECT id, guess, correct, wrong FROM "r@1" ORDER BY id'
    assert sg.connect(tmp_path / "t").sql(rows).fetchall() == [
        ("1", "a", True, False),
        ("2", "b", False, True),
        ("3", "b", None, None),
    ]


def test_a_large_table_lies_in_several_files(store: Path, tmp_path: Path) -> None:
    with sg.Recorder(tmp_path / "s", run="many") as recorder, recorder.table("test_predictions", epoch=1) as table:
        for _ in range(5):
            table.add(ids=np.arange(_ * 4000, _ * 4000 + 4000), guess=np.zeros(4000, int), noise=np.random.rand(4000))
    written = data_set.write(tmp_path / "s", "many", tmp_path / "out", shard=100_000)
    files = sorted(path.name for path in (tmp_path / "out" / "data").iterdir())
    assert written.files == len(files) > 1
    assert files[0] == f"test_predictions-00000-of-{len(files):05d}.parquet"
    (rows,) = loaded(tmp_path / "cache", (["parquet"], {"data_files": str(tmp_path / "out" / "data" / "*.parquet")}))
    assert len(rows["train"]["rows"]) == 20_000
    main(["import", str(tmp_path / "out"), "--store", str(tmp_path / "s"), "--run", "back"])
    back = sg.connect(tmp_path / "s").sql('SELECT count(*), count(DISTINCT id) FROM "back"').fetchall()
    assert back == [(20_000, 20_000)]


def test_a_folder_that_is_there_is_left_alone(store: Path, tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "out"
    export(store, "named@1", "--hf", folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert "is there already; name another folder, or --overwrite" in refused(store, capsys, "named@2", "--hf", folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    (folder / "mine.txt").write_text("x")
    said = refused(store, capsys, "named@2", "--hf", folder, "--overwrite")
    assert "holds what no export wrote, or what was changed since (mine.txt)" in said
    (folder / "mine.txt").unlink()
    (folder / "README.md").write_text("my words")
    assert "(README.md)" in refused(store, capsys, "named@2", "--hf", folder, "--overwrite")
    (folder / "README.md").write_bytes(before[folder / "README.md"])
    export(store, "named@2", "--hf", folder, "--overwrite")
    assert "after" not in (folder / "README.md").read_text()
    assert "| epoch | 2 |" in (folder / "README.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "keep").write_text("x")
    assert "(keep)" in refused(store, capsys, "named", "--hf", tmp_path / "other", "--overwrite")


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_is_replaced_in_one_step_where_the_system_can(
    store: Path, tmp_path: Path, monkeypatch: Any, exchanges: bool
) -> None:
    if not exchanges:
        monkeypatch.setattr(data_set, "exchange", lambda one, other: False)
    data_set.write(store, "named@1", tmp_path / "out")
    data_set.write(store, "plain/eval a-b", tmp_path / "out", overwrite=True)
    assert [path.name for path in (tmp_path / "out" / "data").iterdir()] == ["eval_a_b-00000-of-00001.parquet"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_cannot_be_exported_is_said_and_leaves_nothing(store: Path, tmp_path: Path, capsys: Any) -> None:
    assert "no run named 'nmed'" in refused(store, capsys, "nmed", "--hf", tmp_path / "x")
    said = refused(store, capsys, "named@all", "--hf", tmp_path / "x")
    assert "names 2 epochs, and a data set is of one; name it, as in named/test_predictions@2" in said
    assert "lies in the store" in refused(store, capsys, "named", "--hf", store / "x")
    assert "cannot write" in refused(store, capsys, "named", "--hf", tmp_path / "none" / "x")
    assert list(tmp_path.iterdir()) == []


def test_images_that_are_damaged_are_said(store: Path, tmp_path: Path, capsys: Any) -> None:
    shutil.copytree(store, tmp_path / "s")
    file = next((tmp_path / "s" / "examples").glob("test_predictions-*"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    export(tmp_path / "s", "named@1", "--hf", tmp_path / "out")
    said = capsys.readouterr()
    assert "is not as it was written (its sha256 differs), so 4 rows have no image or content" in said.err
    assert "4 rows, 1 file" in said.out


def test_rows_whose_images_are_not_known_come_without_and_say_so(tmp_path: Path, capsys: Any) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    files = [{"bytes": encoded(shade), "path": None} for shade in (1, 2)]
    columns = {"id": ["a", "a"], "image": pa.array(files, kind), "guess": [0, 1], "truth": [0, 0]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    main(["import", str(tmp_path / "t.parquet"), "--store", str(tmp_path / "s")])
    export(tmp_path / "s", "t", "--hf", tmp_path / "out")
    said = capsys.readouterr()
    assert "t/test_predictions@1 has repeated or missing ids, so no image of it is known to be a row's" in said.err
    assert "2 rows, 1 file" in said.out


def encoded(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (3, 2), shade).save(out, "PNG")
    return out.getvalue()


def test_an_export_that_breaks_off_leaves_nothing(store: Path, tmp_path: Path, monkeypatch: Any) -> None:
    def broken(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(data_set, "card", broken)
    with pytest.raises(KeyboardInterrupt):
        data_set.write(store, "named", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_guesses_that_are_no_class_stay_texts(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,guess,truth,p_a,p_b\n1,a,a,0.9,0.1\n2,b,zebra,0.2,0.8\n")
    main(["import", str(tmp_path / "t.csv"), "--classes", "a,b", "--run", "r", "--store", str(tmp_path / "s")])
    data_set.write(tmp_path / "s", "r", tmp_path / "out")
    schema = pq.read_schema(next((tmp_path / "out" / "data").iterdir()))
    assert (schema.field("guess").type, schema.field("truth").type) == (pa.int64(), pa.string())
    (rows,) = loaded(tmp_path / "cache", tmp_path / "out")
    assert [(row["guess"], row["truth"]) for row in rows["test_predictions"]["rows"]] == [(0, "a"), (1, "zebra")]
    main(["import", str(tmp_path / "out"), "--run", "back", "--store", str(tmp_path / "s")])
    back = sg.connect(tmp_path / "s").sql('SELECT id, guess, truth FROM "back" ORDER BY id').fetchall()
    assert back == [("1", "a", "a"), ("2", "b", "zebra")]


def test_columns_of_any_type_are_read_by_load_dataset(tmp_path: Path, capsys: Any) -> None:
    """The card's features are those that the files have; what `datasets` has no type for is JSON, and said."""
    day, at = datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3, 4, 5)
    columns = {
        "day": pa.array([day, None]),
        "moment": pa.array([at, None]),
        "zoned": pa.array([at, None], pa.timestamp("us", tz="UTC")),
        "cost": pa.array([Decimal("1.20"), None]),
        "clock": pa.array([datetime.time(1, 2), None]),
        "flag": pa.array([True, None]),
        "deep": pa.array([[{"x": 1, "y": ["a"]}], None]),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        "maps": pa.array([[{"m": [("k", b"1")]}], None], pa.list_(pa.struct([("m", pa.map_("string", "binary"))]))),
        "blob": pa.array([b"\0x", None]),
        "pair": pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2)),
        "none": pa.array([None, None]),
        "small": pa.array([1, None], pa.uint8()),
    }
    pq.write_table(pa.table({"id": ["a", "b"], "guess": [0, 1], "truth": [1, 1], **columns}), tmp_path / "t.parquet")
    main(["import", str(tmp_path / "t.parquet"), "--store", str(tmp_path / "s")])
    export(tmp_path / "s", "t", "--hf", tmp_path / "out")
    said = "written as JSON, since Hugging Face's datasets have no such type: map, maps"
    assert said in capsys.readouterr().err
    (rows,) = loaded(tmp_path / "cache", tmp_path / "out")
    first = rows["test_predictions"]["rows"][0]
    assert {name: first[name] for name in ("flag", "deep", "map", "maps", "pair", "none", "small")} == {
        "flag": True,
        "deep": [{"x": 1, "y": ["a"]}],
        "map": '[["k", 1]]',
        "maps": '[{"m": [["k", "MQ=="]]}]',
        "pair": [1.0, 2.0],
        "none": None,
        "small": 1,
    }
    assert {kind for kind, _ in rows["test_predictions"]["features"].values()} == {"Value", "List"}
    front = (tmp_path / "out" / "README.md").read_text().split("---")[1]
    assert 'dtype: "timestamp[us, tz=' in front
    assert "features:" in front
    main(["import", str(tmp_path / "out"), "--run", "back", "--store", str(tmp_path / "s")])
    both = sg.connect(tmp_path / "s")
    kept = "id, guess, truth, confidence, day, moment, zoned, cost, clock, flag, deep, blob, pair, small"
    assert both.sql(f'SELECT {kept} FROM "back"').fetchall() == both.sql(f'SELECT {kept} FROM "t@1"').fetchall()


def test_the_files_of_the_store_are_read_by_load_dataset(store: Path, tmp_path: Path) -> None:
    """Classes are texts there, as every other tool reads them: `datasets` takes numbers alone for a ClassLabel."""
    rows, examples = loaded(
        tmp_path / "cache",
        (["parquet"], {"data_files": str(next((store / "named" / "test_predictions").glob("*.parquet")))}),
        (["parquet"], {"data_files": str(next((store / "examples").glob("test_predictions*.parquet")))}),
    )
    assert {row["guess"] for row in rows["train"]["rows"]} <= set(NAMES)
    assert examples["train"]["features"]["image"] == ["Image", None]
    assert [row["image"] for row in examples["train"]["rows"]] == [["L", 4, 3]] * 4


def test_yaml_is_quoted_as_json_is() -> None:
    value = {"a": [{"name": "x: y\u2028", "of": {"0": "no"}}, "1e3"], "yes": {}, "n": 3, "t": [[]]}
    assert yaml(value) == (
        'a:\n  - name: "x: y\\u2028"\n    of:\n      "0": "no"\n  - "1e3"\n"yes": {}\n"n": 3\nt:\n  - []\n'
    )


def test_scores_of_labels_in_lists_come_back_with_their_classes(tmp_path: Path) -> None:
    store = tmp_path / "predictions"
    with (
        sg.Recorder(store, run="tags", classes=["cat", "dog"]) as recorder,
        recorder.table("test_predictions", epoch=1, task="multi-label") as table,
    ):
        table.add(ids=["a", "b", "c"], truth=[["cat"], [], None], scores=[[0.9, 0.6], [0.1, 0.2], [0.1, 0.2]])
    record_prices(store)
    for run in ("tags", "price"):
        main(["export", run, "--hf", str(tmp_path / run), "--store", str(store)])
        main(["import", str(tmp_path / run), "--run", run, "--store", str(tmp_path / "back")])
        columns = "id, guess, truth, COLUMNS('score_.*')" if run == "tags" else "id, guess, truth"
        rows = [
            sg.connect(each).sql(f'SELECT {columns} FROM "{run}@last" ORDER BY id')
            for each in (store, tmp_path / "back")
        ]
        assert repr(rows[0].fetchall()) == repr(rows[1].fetchall())
    (epoch,) = list_runs(tmp_path / "back")["tags"].tables["test_predictions"].values()
    assert (epoch.task, epoch.classes) == ("multi-label", ("cat", "dog"))
