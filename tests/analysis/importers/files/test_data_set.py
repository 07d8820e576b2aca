"""Hugging Face data sets in a folder, written by `datasets` itself: saved on a disk, and as they are published."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_sets import run
from PIL import Image

import secondguess as sg
from secondguess.analysis.cli import main

_WRITTEN = """
import io, sys
from pathlib import Path
from PIL import Image as Picture
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Value

def png(shade):
    out = io.BytesIO()
    Picture.new("L", (3, 2), shade).save(out, "PNG")
    return out.getvalue()

folder = Path(sys.argv[1])
labels = ClassLabel(names=["cat", "dog", "cow"])
features = Features({"name": Value("string"), "pic": Image(), "label": labels, "prediction": labels})
rows = {
    "name": list("abcd"),
    "pic": [{"bytes": png(shade), "path": None} for shade in (0, 80, 160)] + [None],
    "label": [0, 2, -1, 1],
    "prediction": [0, 1, 2, 1],
}
test = Dataset.from_dict(rows, features=features)
test.save_to_disk(folder / "saved", num_shards=2)
DatasetDict({"test": test, "more": test.select([1, 2])}).save_to_disk(folder / "both")
test.select([3, 0]).save_to_disk(folder / "chosen")
none = test.select([]).flatten_indices()
none.save_to_disk(folder / "none")
DatasetDict({"train": none, "test": test}).save_to_disk(folder / "half")
shares = Features({"name": Value("string"), "label": labels, "scores": List(Value("float32"), length=3)})
told = {"name": list("abc"), "label": [0, 2, -1], "scores": [[0.75, 0.25, 0], [0, 0.75, 0.25], [0, 0.25, 0.75]]}
Dataset.from_dict(told, features=shares).save_to_disk(folder / "scored")
(folder / "card" / "data").mkdir(parents=True)
for place in range(2):
    test.shard(2, place, contiguous=True).to_parquet(folder / "card" / "data" / f"test-0000{place}-of-00002.parquet")
"""
ROWS = [("a", "cat", "cat"), ("b", "dog", "cow"), ("c", "cow", None), ("d", "dog", "dog")]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data-sets")
    run(_WRITTEN, folder / "cache", str(folder))
    return folder


def rows_of(store: Path, table: str) -> list[tuple[Any, ...]]:
    return sg.connect(store).sql(f'SELECT id, guess, truth FROM "{table}" ORDER BY id').fetchall()


def taken(store: Path, *words: object) -> None:
    main(["import", *map(str, words), "--store", str(store)])


def refused(store: Path, capsys: pytest.CaptureFixture[str], *words: object) -> str:
    with pytest.raises(SystemExit):
        taken(store, *words)
    return capsys.readouterr().err


def test_a_saved_data_set_has_its_class_names_and_images(written: Path, tmp_path: Path, capsys: Any) -> None:
    """Of a ClassLabel -1 is no label; the fourth row has no image."""
    taken(tmp_path / "s", written / "saved")
    said = capsys.readouterr().out
    assert "image = pic" in said
    assert "4 rows, 3 images" in said
    assert rows_of(tmp_path / "s", "saved") == ROWS
    store = sg.connect(tmp_path / "s")
    assert store.sql("SELECT id FROM examples ORDER BY id").fetchall() == [("a",), ("b",), ("c",)]


def test_each_split_of_a_saved_dictionary_is_a_table(written: Path, tmp_path: Path) -> None:
    taken(tmp_path / "s", written / "both")
    assert rows_of(tmp_path / "s", "both/test@1") == ROWS
    assert rows_of(tmp_path / "s", "both/more@1") == ROWS[1:3]


def test_chosen_rows_are_saved_and_read(written: Path, tmp_path: Path) -> None:
    taken(tmp_path / "s", written / "chosen")
    assert rows_of(tmp_path / "s", "chosen") == [ROWS[0], ROWS[3]]


CARDS = {
    "usual": "configs:\n- config_name: default\n  data_files:\n  - split: test\n    path: data/test-*\n",
    "indented": "license: mit\nconfigs:\n  - config_name: 'x'\n    data_files:\n"
    "      - path:\n          - data/test-*\n"
    '        split: "test"\ntags:\n  - configs\n',
    "brackets": 'configs:\n- data_files:\n  - split: test\n    path: ["data/test-00000*", data/test-00001*]\n',
    "features": "dataset_info:\n  features:\n  - name: name\n    dtype: string\n",
    "none": None,
}


@pytest.mark.parametrize("card", CARDS)
def test_a_published_folder_has_the_splits_of_its_card_or_its_names(written: Path, tmp_path: Path, card: str) -> None:
    folder = tmp_path / "set"
    shutil.copytree(written / "card", folder)
    if CARDS[card] is not None:
        (folder / "README.md").write_text(f"---\n{CARDS[card]}---\n# A set\n")
    taken(tmp_path / "s", folder)
    assert rows_of(tmp_path / "s", "set/test@1") == ROWS


def test_splits_are_seen_by_the_names_of_files_and_folders(tmp_path: Path) -> None:
    """As `datasets` sees them where a card names no files."""
    folder = tmp_path / "set"
    for name in ("my-train.csv", "data_val.csv", "test/part 1.csv", "test/part 2.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"id,guess,truth\n{name},a,b\n")
    (folder / "README.md").write_text("---\ndataset_info:\n  features: []\n---\n")
    taken(tmp_path / "s", folder)
    assert rows_of(tmp_path / "s", "set/train@1") == [("my-train.csv", "a", "b")]
    assert rows_of(tmp_path / "s", "set/validation@1") == [("data_val.csv", "a", "b")]
    assert [row[0] for row in rows_of(tmp_path / "s", "set/test@1")] == ["test/part 1.csv", "test/part 2.csv"]


def test_files_that_a_card_names_without_a_split_are_the_usual_table(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    shutil.copytree(written / "card", folder)
    (folder / "README.md").write_text('---\nconfigs:\n- config_name: a\n  data_files: "data/*.parquet"\n---\n')
    taken(tmp_path / "s", folder)
    assert rows_of(tmp_path / "s", "set/test_predictions@1") == ROWS


def test_each_subset_of_a_card_is_a_run(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    shutil.copytree(written / "card", folder)
    subsets = "".join(
        f"- config_name: {name}\n  data_files:\n  - split: test\n    path: data/test-0000{place}*\n"
        for place, name in enumerate(("one", "two"))
    )
    (folder / "README.md").write_text(f"---\nconfigs:\n{subsets}---\n")
    taken(tmp_path / "s", folder)
    assert rows_of(tmp_path / "s", "set-one/test@1") == ROWS[:2]
    assert rows_of(tmp_path / "s", "set-two/test@1") == ROWS[2:]


def test_a_plain_folder_is_one_table_as_ever(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    shutil.copytree(written / "card" / "data", folder)
    (folder / "README.md").write_text("---\ntitle: mine\n---\nnothing of configs: here")
    taken(tmp_path / "s", folder)
    assert rows_of(tmp_path / "s", "plain/test_predictions@1") == ROWS


def test_a_folder_of_splits_alone_needs_no_card(tmp_path: Path, capsys: Any) -> None:
    """As `load_dataset(FOLDER)` reads it: rows of a training and of a test are no one table."""
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.csv").write_text("id;guess;truth\nx;NA;b\n")
    (folder / "test.csv").write_text("id;guess;truth\ny;b;b\n")
    taken(tmp_path / "s", folder, "--missing", "NA", "--delimiter", ";")
    assert rows_of(tmp_path / "s", "set/train@1") == [("x", None, "b")]
    assert rows_of(tmp_path / "s", "set/test@1") == [("y", "b", "b")]
    (folder / "sample.csv").write_text("id;guess;truth\nz;a;a\n")
    taken(tmp_path / "t", folder)
    assert "3 files are read as one table" in capsys.readouterr().out


def test_a_column_that_counts_epochs_is_that_of_the_table_that_is_named(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.csv").write_text("id,guess,truth\nx,a,b\n")
    (tmp_path / "set" / "test.csv").write_text("id,guess,truth,epoch\ny,b,b,1\ny,a,b,2\n")
    said = refused(tmp_path / "s", capsys, tmp_path / "set", "--epoch-column", "epoch")
    assert "--epoch-column is for a source with one table; set has 2: test, train; name one with --table" in said
    taken(tmp_path / "s", tmp_path / "set", "--epoch-column", "epoch", "--table", "test")
    assert rows_of(tmp_path / "s", "set/test@1") == [("y", "b", "b")]
    assert rows_of(tmp_path / "s", "set/test@2") == [("y", "a", "b")]


def test_images_of_a_split_lie_beside_the_file_that_names_them(tmp_path: Path, capsys: Any) -> None:
    """`datasets` calls it an ImageFolder."""
    for split, shade in (("test", 0), ("train", 255)):
        (tmp_path / "set" / split).mkdir(parents=True)
        Image.new("L", (3, 2), shade).save(tmp_path / "set" / split / "1.png")
        (tmp_path / "set" / split / "metadata.csv").write_text("file_name,prediction,label\n1.png,cat,dog\n")
    taken(tmp_path / "s", tmp_path / "set")
    assert capsys.readouterr().out.count("1 rows, 1 images") == 2
    assert rows_of(tmp_path / "s", "set/train@1") == [("1.png", "cat", "dog")]
    taken(tmp_path / "t", tmp_path / "set" / "test")
    assert "1 rows, 1 images" in capsys.readouterr().out


def test_what_is_not_there_is_said(written: Path, tmp_path: Path, capsys: Any) -> None:
    shutil.copytree(written / "saved", tmp_path / "saved")
    (tmp_path / "saved" / "data-00001-of-00002.arrow").unlink()
    said = refused(tmp_path / "s", capsys, tmp_path / "saved")
    assert "whose files are not all there; missing: data-00001-of-00002.arrow" in said
    shutil.copytree(written / "card", tmp_path / "card")
    (tmp_path / "card" / "README.md").write_text("---\nconfigs:\n- data_files: other/*.parquet\n---\n")
    assert "has no files other/*.parquet, which its card names" in refused(tmp_path / "s", capsys, tmp_path / "card")


@pytest.mark.parametrize("pattern", ["../saved/*.arrow", "/etc/*.csv", "hf://datasets/x/y.parquet"])
def test_a_card_leads_nowhere_else(written: Path, tmp_path: Path, capsys: Any, pattern: str) -> None:
    shutil.copytree(written / "card", tmp_path / "card")
    (tmp_path / "card" / "README.md").write_text(f"---\nconfigs:\n- data_files: {pattern}\n---\n")
    assert "which are not in the folder" in refused(tmp_path / "s", capsys, tmp_path / "card")


@pytest.mark.parametrize("name", ["../secret.arrow", "/etc/passwd", "a/b.arrow", 3, None])
def test_saved_files_lie_beside_what_names_them(written: Path, tmp_path: Path, capsys: Any, name: Any) -> None:
    shutil.copytree(written / "saved", tmp_path / "saved")
    (tmp_path / "saved" / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    assert "names no files of a data set" in refused(tmp_path / "s", capsys, tmp_path / "saved")
    shutil.copytree(written / "both", tmp_path / "both")
    (tmp_path / "both" / "dataset_dict.json").write_text(json.dumps({"splits": [name]}))
    assert "names no files of a data set" in refused(tmp_path / "s", capsys, tmp_path / "both")


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", '{"_data_files": 3}', "[" * 100_000])
def test_damaged_json_is_said_in_one_line(written: Path, tmp_path: Path, capsys: Any, text: str) -> None:
    for place, name in (("saved", "state.json"), ("saved", "dataset_info.json"), ("both", "dataset_dict.json")):
        folder = tmp_path / f"{place}-{name}"
        shutil.copytree(written / place, folder)
        (folder / name).write_text(text)
        if name != "dataset_info.json" or text not in {"{}", '{"_data_files": 3}'}:
            said = refused(tmp_path / "s", capsys, folder)
            assert str(folder) in said
            assert said.count("\n") <= 1


def labelled(path: Path, names: list[str]) -> None:
    about = {"info": {"features": {"label": {"_type": "ClassLabel", "names": names}}}}
    table = pa.table({"id": [path.stem], "guess": ["x"], "label": [0]})
    pq.write_table(table.replace_schema_metadata({b"huggingface": json.dumps(about).encode()}), path)


def test_numbers_of_several_files_mean_the_same_classes(tmp_path: Path, capsys: Any) -> None:
    """Texts stand beside the numbers of a ClassLabel, too."""
    labelled(tmp_path / "p-1.parquet", ["x", "y"])
    labelled(tmp_path / "p-2.parquet", ["x", "y"])
    taken(tmp_path / "s", tmp_path / "p-1.parquet", tmp_path / "p-2.parquet", "--run", "r")
    assert rows_of(tmp_path / "s", "r") == [("p-1", "x", "x"), ("p-2", "x", "x")]
    labelled(tmp_path / "p-2.parquet", ["y", "x"])
    said = refused(tmp_path / "s", capsys, tmp_path / "p-1.parquet", tmp_path / "p-2.parquet")
    assert "the classes of the column 'label' are not the same in" in said


def test_scores_of_other_classes_than_the_file_names_are_not_mixed_up(tmp_path: Path, capsys: Any) -> None:
    about = {"_type": "ClassLabel", "names": ["x", "y", "z"]}
    features = json.dumps({"info": {"features": {"guess": about, "label": about}}}).encode()
    columns = {"id": ["a", "b"], "guess": [2, 1], "label": [2, 2], "score_0": [0.5, 0.1], "score_1": [0.5, 0.9]}
    pq.write_table(pa.table(columns).replace_schema_metadata({b"huggingface": features}), tmp_path / "t.parquet")
    said = refused(tmp_path / "s", capsys, tmp_path / "t.parquet")
    assert "3 classes are named" in said
    assert "but there are 2 scores (score_0, score_1); name the columns of all with --scores" in said
    taken(tmp_path / "s", tmp_path / "t.parquet", "--no-scores")
    assert rows_of(tmp_path / "s", "t") == [("a", "z", "z"), ("b", "y", "z")]


def test_images_that_are_elsewhere_are_counted(tmp_path: Path, capsys: Any) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = pa.array([{"bytes": None, "path": "/home/x/1.png"}, None], kind)
    pq.write_table(
        pa.table({"id": ["a", "b"], "image": cells, "guess": [1, 0], "label": [1, 1]}), tmp_path / "t.parquet"
    )
    taken(tmp_path / "s", tmp_path / "t.parquet")
    said = capsys.readouterr().out
    assert "2 rows, 0 images, 1 missing" in said
    assert "the file has the names of images that are files elsewhere, and not these" in said


def test_a_split_without_rows_is_left_out_and_said(written: Path, tmp_path: Path, capsys: Any) -> None:
    taken(tmp_path / "s", written / "half")
    assert "left out, since it has no rows: train" in capsys.readouterr().out
    assert rows_of(tmp_path / "s", "half/test") == ROWS
    said = refused(tmp_path / "s", capsys, written / "none")
    assert said == f"secondguess: {written / 'none'} has no rows, so there is nothing to import\n"


def test_guesses_that_follow_from_scores_have_the_names_of_a_class_label(written: Path, tmp_path: Path) -> None:
    """Its places are those of the scores; as many as it has names."""
    taken(tmp_path / "s", written / "scored")
    table = sg.connect(tmp_path / "s").sql("SELECT guess, truth, confidence, wrong FROM scored ORDER BY ALL")
    assert table.fetchall() == [("cat", "cat", 0.75, False), ("cow", None, 0.75, None), ("dog", "cow", 0.75, True)]


def test_each_subset_of_a_card_comes_from_its_folder(tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "two"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "test.csv").write_text(f"id,guess,truth\n{name},x,x\n")
    front = "configs:\n- config_name: one\n  data_files: a/*.csv\n- config_name: other\n  data_dir: "
    (folder / "README.md").write_text(f"---\n{front}b\n---\n")
    taken(tmp_path / "s", folder)
    assert rows_of(tmp_path / "s", "two-one") == [("a", "x", "x")]
    assert rows_of(tmp_path / "s", "two-other/test") == [("b", "x", "x")]
    (folder / "README.md").write_text(f"---\n{front}../b\n---\n")
    assert "which are not in the folder" in refused(tmp_path / "t", capsys, folder)
    (folder / "README.md").write_text(f"---\n{front}c\n---\n")
    assert f"{folder} has no files of the subset other, in {folder / 'c'}" in refused(tmp_path / "t", capsys, folder)
