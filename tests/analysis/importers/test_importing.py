"""Foreign runs and tables become runs of the store: whole, named, with their roles, and joined with local ones."""

import io
import json
import os
import pty
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from waiting import PATIENT
from wandb.proto import wandb_internal_pb2 as pb
from wandb_scripts import real_run, write_run

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import AlreadyThere, BadInput
from secondguess.analysis.importers.files.predictions import prediction_run
from secondguess.analysis.importers.importing import surveyed
from secondguess.analysis.importers.names import free_name, table_names
from secondguess.analysis.importers.writing import ImportedRun, ImportedTable, ImportOptions, described, plan, write
from secondguess.analysis.store.adoption import staging
from secondguess.trainer.mirror.mirror import WandbOptions
from secondguess.trainer.recorder import Recorder

IMAGES = np.arange(6 * 16, dtype=np.uint8).reshape(6, 4, 4) * 2
SCORES = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.5, 0.3, 0.2], [np.nan] * 3, [0.1, 0.1, 0.8]])
TRUTH = [0, 1, 2, 1, 0, 2]


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with a run of two epochs, recorded beside an offline W&B run that got every row; tests read it."""
    folder = tmp_path_factory.mktemp("mirrored")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder / "home"))
        yield recorded(folder / "here")


@pytest.fixture
def recorded_copy(mirrored: Path, tmp_path: Path) -> Path:
    """A copy of the recorded run to write beside; its W&B run is where it was."""
    return Path(shutil.copytree(mirrored, tmp_path / "copy", ignore=shutil.ignore_patterns("wandb")))


def recorded(store: Path) -> Path:
    with Recorder(store, run="cnn", config={"lr": 0.1}, wandb=WandbOptions(rows=None, **PATIENT)) as recorder:
        for epoch in (1, 2):
            recorder.log(loss=1 / epoch)
            with recorder.table("test_predictions", epoch=epoch, acc=50.0) as table:
                table.add(
                    ids=[f"t-{row}" for row in range(6)],
                    images=IMAGES,
                    truth=TRUTH,
                    scores=SCORES if epoch == 1 else SCORES[:, ::-1],
                    note=["a", "b", None, "d", "é", ""],
                )
    assert recorder.report is not None
    assert recorder.report.faults == ()
    return store


def test_a_rescued_run_equals_its_twin_cell_by_cell_and_pixel_by_pixel(mirrored: Path, tmp_path: Path, capsys) -> None:
    main(["import", str(mirrored / "wandb"), "--store", str(tmp_path / "there")])
    here, there = sg.connect(mirrored), sg.connect(tmp_path / "there")
    columns = "run, epoch, id, guess, truth, confidence, truth_score, score_0, score_1, score_2, note"
    rows = f"SELECT {columns} FROM test_predictions ORDER BY epoch, id"
    assert repr(there.sql(rows).fetchall()) == repr(here.sql(rows).fetchall())
    pictures = "SELECT id, digest, truth FROM examples ORDER BY id"
    assert there.sql(pictures).fetchall() == here.sql(pictures).fetchall()
    assert there.sql("SELECT name, value FROM metrics ORDER BY ALL").fetchall() == [
        ("acc", 50.0), ("acc", 50.0), ("loss", 0.5), ("loss", 1.0)
    ]  # fmt: skip
    config = there.sql("SELECT state, origin, config FROM runs").fetchall()
    assert [(state, origin, json.loads(text)) for state, origin, text in config] == [
        ("finished", "wandb-offline", {"lr": 0.1})
    ]
    assert "epoch 2: 6 rows, 6 images" in capsys.readouterr().out


def test_a_second_import_of_the_same_run_is_refused_and_overwrite_replaces_it(mirrored: Path, tmp_path: Path) -> None:
    words = ["import", str(mirrored / "wandb"), "--store", str(tmp_path / "there")]
    main(words)
    with pytest.raises(SystemExit):
        main(words)
    main([*words, "--overwrite"])
    assert [row[0] for row in sg.connect(tmp_path / "there").sql("SELECT run FROM runs").fetchall()] == ["cnn"]


def test_overwriting_an_import_replaces_that_import_and_never_the_run_that_was_recorded(
    mirrored: Path, recorded_copy: Path
) -> None:
    words = ["import", str(mirrored / "wandb"), "--store", str(recorded_copy), "--overwrite"]
    main(words)
    main(words)
    found = sg.connect(recorded_copy).sql("SELECT run, origin FROM runs ORDER BY origin").fetchall()
    assert [origin for _, origin in found] == ["recorded", "wandb-offline"]
    assert found[0][0] == "cnn"


def test_overwriting_a_file_s_import_replaces_it_and_a_name_that_is_given_is_replaced(tmp_path: Path) -> None:
    words = ["--store", str(tmp_path / "store"), "--overwrite"]
    for text in ("id,guess\na,1\n", "id,guess\na,2\n"):
        (tmp_path / "t.csv").write_text(text)
        main(["import", str(tmp_path / "t.csv"), *words])
    (tmp_path / "u.csv").write_text("id,guess\na,3\n")
    store = sg.connect(tmp_path / "store")
    assert store.sql("SELECT run, guess FROM test_predictions").fetchall() == [("t", 2)]
    main(["import", str(tmp_path / "u.csv"), "--run", "t", *words])
    assert store.sql("SELECT run, guess FROM test_predictions").fetchall() == [("t", 3)]


def test_an_import_into_the_run_s_own_store_joins_with_it(mirrored: Path, recorded_copy: Path, capsys) -> None:
    main(["import", str(mirrored / "wandb"), "--store", str(recorded_copy)])
    name = next(row[0] for row in sg.connect(recorded_copy).runs().fetchall() if row[0] != "cnn")
    assert name.startswith("cnn-")
    assert f"run 'cnn' is called '{name}'" in capsys.readouterr().out
    assert sg.connect(recorded_copy).ask("disagreements", f"{name}@2", "cnn@2").fetchall() == []


def test_a_dry_run_writes_nothing(mirrored: Path, tmp_path: Path, capsys) -> None:
    main(["import", str(mirrored / "wandb"), "--store", str(tmp_path / "there"), "--dry-run"])
    assert not (tmp_path / "there").exists()
    assert "guess = guess, truth = truth, image = image" in capsys.readouterr().out


def test_ids_made_of_positions_join_on_the_image_instead(tmp_path: Path) -> None:
    """The tutorial's `<position>_<batch>` ids mean other images with another batch size; the digest does not."""
    store = tmp_path / "predictions"
    for run, size in (("four", 4), ("three", 3)):
        with Recorder(store, run=run) as recorder, recorder.table("test_predictions", epoch=1) as table:
            ids = [f"{row % size}_{row // size}" for row in range(6)]
            table.add(ids=ids, images=IMAGES, truth=TRUTH, guess=[0, 1, 2, 3, 4, 5])
    joined = sg.connect(store).sql("""
        SELECT count(*), count(*) FILTER (WHERE a.guess = b.guess)
        FROM "four" a JOIN examples x USING (examples, id)
        JOIN (SELECT b.*, y.digest FROM "three" b JOIN examples y USING (examples, id)) b ON x.digest = b.digest
    """)
    assert joined.fetchall() == [(6, 6)]


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_plain_files_import_with_the_roles_that_are_given(tmp_path: Path, kind: str) -> None:
    rows = [
        {"name": "x", "pred": "cat", "label": "dog", "prob_cat": 0.75, "prob_dog": 0.25, "epoch": 7},
        {"name": "y", "pred": "dog", "label": "dog", "prob_cat": 0.5, "prob_dog": 0.5, "epoch": 8},
    ]
    path = tmp_path / f"preds.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["import", str(path), "--run", "mine", "--epoch", "3", "--id", "name", "--scores", "prob_*"]
    main([*words, "--store", str(tmp_path / "store")])
    found = sg.connect(tmp_path / "store").sql('FROM "mine" ORDER BY id')
    assert found.project("epoch, id, guess, truth, confidence, truth_score, score_0, source_epoch").fetchall() == [
        (3, "x", "cat", "dog", 0.75, 0.25, 0.75, 7),
        (3, "y", "dog", "dog", 0.5, 0.5, 0.5, 8),
    ]
    assert sg.connect(tmp_path / "store").ask("errors", "mine").project("id").fetchall() == [("x",)]


def test_a_table_without_guess_or_truth_imports_as_it_is_where_a_person_names_a_column(tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_text("word,n,key\na,1,x\nb,2,y\n")
    main(["import", str(tmp_path / "words.csv"), "--id", "key", "--store", str(tmp_path / "store")])
    store = sg.connect(tmp_path / "store")
    assert store.sql('SELECT word, n, id, guess FROM "words" ORDER BY n').fetchall() == [
        ("a", 1, "x", None),
        ("b", 2, "y", None),
    ]


def test_odd_rows_are_kept_and_counted(tmp_path: Path) -> None:
    """NULL and repeated ids, a guess outside the classes, NaN scores, an unlabelled row."""
    (tmp_path / "odd.csv").write_text(
        "id,guess,truth,score_0,score_1\na,0,0,0.9,0.1\na,7,1,0.4,0.6\n,1,,nan,nan\nb,1,1,0.2,0.8\n"
    )
    main(["import", str(tmp_path / "odd.csv"), "--store", str(tmp_path / "store")])
    store = sg.connect(tmp_path / "store")
    assert store.sql('SELECT count(*), count(DISTINCT id), count(confidence) FROM "odd"').fetchall() == [(4, 2, 2)]
    assert store.sql("SELECT errors, unlabelled, nan_scores FROM runs").fetchall() == [([1], 1, 1)]
    with pytest.raises(BadInput, match="with a repeated key"):
        store.ask("disagreements", "odd@1", "odd@1")


def test_images_that_cannot_be_decoded_are_missing_and_the_rest_is_taken(tmp_path: Path, capsys) -> None:
    """A chunk of no kind, a header that ends, a stripe outside the image: Pillow calls each by an error of its own."""
    out = io.BytesIO()
    Image.fromarray(IMAGES[0]).save(out, "PNG")
    good = out.getvalue()
    files = [good, good.replace(b"IDAT", b"\x00DAT"), good[:20], b"BM" + bytes(10), b"GIF89a" + bytes(3)]
    table = pa.table(
        {"id": list("abcde"), "guess": [1] * 5, "image": [{"bytes": file, "path": None} for file in files]}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    main(["import", str(tmp_path / "t.parquet"), "--store", str(tmp_path / "store")])
    assert "4 images cannot be decoded" in capsys.readouterr().out
    store = sg.connect(tmp_path / "store")
    assert store.sql("SELECT id FROM examples").fetchall() == [("a",)]
    assert store.sql("SELECT count(*) FROM t").fetchall() == [(5,)]


def test_images_that_were_logged_as_float_pixels_are_said_to_be_nearly_black(tmp_path: Path, capsys) -> None:
    """What the tutorial does: wandb 0.29 and newer cast pixels from 0 to 1 to whole numbers."""
    folder = real_run(
        tmp_path,
        """
for name, scale in (("floats", 1), ("bytes", 255)):
    pixels = np.random.default_rng(0).random((3, 8, 8, 1)) * scale
    pixels = pixels if scale == 1 else pixels.astype("uint8")
    rows = [[str(row), wandb.Image(one), row] for row, one in enumerate(pixels)]
    run.log({name: wandb.Table(columns=["id", "image", "guess"], data=rows)})
""",
    )
    for dry in (["--dry-run"], []):
        main(["import", str(folder), "--store", str(tmp_path / "store"), *dry])
        said = capsys.readouterr().out
        assert "3 rows, 3 nearly black images" in said
        assert "these images are nearly black: all 3 hold only the values 0 and 1" in said
        assert "3 rows, 3 images" in said  # those of 8-bit pixels


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("plain", "plain"),
        ("a/b@c*d?", "a-b-c-d-"),
        ("CNN", "CNN-x1"),
        ("cnn", "cnn-x1"),
        ("🎲 run", "🎲 run"),
        ("", "imported-run"),
        ("wandb", "run-wandb"),
    ],
)
def test_names_that_cannot_be_are_replaced_and_said(name: str, found: str) -> None:
    free, notes = free_name(name, {"cnn"}, "x1", asked=False)
    assert free == found
    assert bool(notes) == (name != found)


def test_tables_that_would_be_called_alike_are_numbered_and_one_that_can_keeps_its_name() -> None:
    assert table_names(["val/preds", "val-preds", "Preds", "preds", "runs?", "views", "val/preds"]) == {
        "val/preds": "val-preds-2",
        "val-preds": "val-preds",
        "Preds": "Preds",
        "preds": "preds-2",
        "runs?": "runs-",
        "views": "table-views",
    }


def test_runs_and_tables_of_one_folder_get_names_of_their_own_which_a_dry_run_tells(tmp_path: Path, capsys) -> None:
    own = json.dumps({"columns": ["id", "guess"], "data": [["a", 1]]})
    for number in (1, 2):
        about = pb.Record()
        about.run.run_id, about.run.display_name = f"x{number}", "twin"
        rows = [(0, {key: {"_type": "table-file", "path": f"{key.lower()}.json"} for key in ("a/b", "a-b", "A-B")})]
        folder = write_run(tmp_path / "wandb" / f"offline-run-x{number}", rows, about)
        for name in ("a/b.json", "a-b.json"):
            (folder / "files" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "files" / name).write_text(own)
    words = ["import", str(tmp_path / "wandb"), "--store", str(tmp_path / "store")]
    main([*words, "--dry-run"])
    told = capsys.readouterr().out
    main(words)
    assert capsys.readouterr().out == told
    assert [line.strip() for line in told.splitlines() if "is called" in line] == [
        "table 'a/b' is called 'a-b-3'",
        "table 'A-B' is called 'A-B-2'",
        "run 'twin' is called 'twin-x2'",
        "table 'a/b' is called 'a-b-3'",
        "table 'A-B' is called 'A-B-2'",
    ]
    found = sg.connect(tmp_path / "store").sql("SELECT run, table_name FROM runs ORDER BY ALL").fetchall()
    assert found == [(run, table) for run in ("twin", "twin-x2") for table in ("A-B-2", "a-b", "a-b-3")]


def test_an_import_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.table.json", tmp_path / "bad.table.json"
    good.write_text('{"columns": ["id", "guess"], "data": [["a", 1]]}')
    bad.write_text('{"columns": ["id", "guess"], "data": [["a", 1], ["b"')
    store = tmp_path / "store"
    main(["import", str(good), "--store", str(store)])
    before = sorted(str(path) for path in store.rglob("*"))
    with pytest.raises(SystemExit):
        main(["import", str(bad), "--store", str(store)])
    assert sorted(str(path) for path in store.rglob("*")) == before


def test_what_holds_for_every_epoch_of_a_table_is_said_once() -> None:
    both, tables = ("is gone", "is odd"), []
    for epoch, notes in ((1, both), (2, ("is odd", "is late"))):
        tables.append(ImportedTable("t", epoch, 1000, 7, epoch - 1, "id = id", notes))
    tables.append(ImportedTable("u", 1, 5, 0, 0, "guess = pred", both))
    assert list(described(ImportedRun("cnn", tuple(tables), ("run 'a/b' is called 'cnn'",)))) == [
        "run cnn",
        "  t: id = id",
        "    epoch 1: 1,000 rows, 7 images",
        "      is gone",
        "    epoch 2: 1,000 rows, 7 images, 1 missing",
        "      is late",
        "    in every epoch: is odd",
        "  u: guess = pred",
        "    epoch 1: 5 rows",
        "      is gone",
        "      is odd",
        "  run 'a/b' is called 'cnn'",
    ]


def test_what_an_import_left_that_was_killed_goes_with_the_next_but_not_what_another_is_writing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = tmp_path / "store"
    (tmp_path / "t.csv").write_text("id,guess\na,1\n")
    with staging(store) as going:
        (dead := store / ".importing-dead").mkdir()
        (dead / "half").write_bytes(b"x")
        main(["import", str(tmp_path / "t.csv"), "--store", str(store)])
        assert sorted(path.name for path in store.iterdir()) == [going.path.name, "t"]
    assert caplog.messages == [f"cleared {dead}, left by a process that was killed"]
    assert not going.path.exists()


def test_of_two_imports_of_one_name_one_wins(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,guess\na,1\n")
    ends: list[str] = []

    def bring() -> None:
        try:
            write(
                plan(tmp_path / "store", prediction_run([str(tmp_path / "t.csv")], tmp_path), ImportOptions(run="one"))
            )
            ends.append("won")
        except AlreadyThere:
            ends.append("told")

    threads = [threading.Thread(target=bring) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["told", "told", "told", "won"]
    assert sg.connect(tmp_path / "store").sql('SELECT count(*) FROM "one"').fetchall() == [(1,)]


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_plain_file_is_read_in_part_or_whole_again_and_again(tmp_path: Path, kind: str) -> None:
    table = pa.table({"id": ["a", "b"], "guess": ["x", "y"], "note": ["1 2", None]})
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        pq.write_table(table, path)
    elif kind == "csv":
        path.write_text("id,guess,note\na,x,1 2\nb,y,\n")
    else:
        path.write_text("\n".join(json.dumps(row) for row in table.to_pylist()))
    rows = prediction_run([str(path)], tmp_path).tables[0].read()
    for _ in range(2):
        assert [batch.to_pydict() for batch in rows.batches(["note", "id", "score_0"])] == [
            {"id": ["a", "b"], "note": ["1 2", None]}
        ]
        assert [batch.to_pylist() for batch in rows.batches()] == [table.to_pylist()]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.jsonl", b'{"id": "a", "gu\xffess": 1}'),
        ("t.jsonl", b'{"id": "a", "guess": 1, "o": {"b\xff": 1}}'),
        ("t.jsonl", b'{"id": "a\xff", "guess": 1}'),
        ("t.jsonl", b'{"id": "a", "guess": 1, "o": [["\xff"]]}'),
    ],
)
def test_what_is_no_utf_8_is_refused_by_the_file_s_name(tmp_path: Path, capsys, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SystemExit):
        main(["import", str(tmp_path / name), "--store", str(tmp_path / "s")])
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"secondguess: {tmp_path / name} cannot be read: ")
    assert "UTF" in told or "utf-8" in told


def test_parquet_whose_text_is_no_utf_8_is_refused_by_its_name(tmp_path: Path, capsys) -> None:
    wrong = pa.array([b"a\xff", b"b"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"id": wrong, "guess": [1, 2]}), tmp_path / "t.parquet")
    with pytest.raises(SystemExit):
        main(["import", str(tmp_path / "t.parquet"), "--store", str(tmp_path / "s")])
    assert "t.parquet cannot be read: " in capsys.readouterr().err.splitlines()[-1]


def test_the_bar_of_an_import_counts_rows_and_leaves_the_summary_alone(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,guess\n" + "".join(f"x{row},1\n" for row in range(25_000)))
    told: list[tuple[str, int]] = []
    planned = plan(
        tmp_path / "store",
        prediction_run([str(tmp_path / "t.csv")], tmp_path),
        ImportOptions(),
        progress=lambda *seen: told.append(seen),
    )
    assert (planned.rows, told) == (25_000, [("test_predictions@1", 0)])
    for read in (surveyed, write):
        told.clear()
        read(planned, lambda *seen: told.append(seen))
        assert {text for text, _ in told} == {"test_predictions@1"}
        assert told[0][1] == 0 and sum(rows for _, rows in told) == 25_000
    command = [sys.executable, "-m", "secondguess", "import", str(tmp_path / "t.csv"), "--store", str(tmp_path / "new")]
    outside, inside = pty.openpty()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=inside, text=True, env=os.environ | {"TERM": "xterm"})
    os.close(inside)
    assert b"import t" in os.read(outside, 1 << 16)
    os.close(outside)
    assert done.stdout.splitlines()[0] == "run t"


def test_a_folder_that_is_not_there_is_said_though_it_may_be_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HOME", "WANDB_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["import", "logs/cnn", "--store", str(tmp_path / "s")])
    said = capsys.readouterr().err
    assert "W&B asks for an API key" in said
    assert said.endswith("; nor is there a file or folder logs/cnn\n")
