"""The images of the rows of a view: in its columns, in its groups, on each side of a join, and in what is exported."""

import base64
import csv
import io
import json
import os

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from recording import bytes_of, record

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import BadInput
from secondguess.trainer.recorder import Recorder

GREY = 40  # by which the images differ


def images(*places):
    """An image of 2 x 2 pixels per place, all of one grey."""
    return np.array(places, np.uint8)[:, None, None] * np.full((1, 2, 2), GREY, np.uint8)


def place(cell):
    """Which of the images a cell holds."""
    if cell is None:
        return None
    data = base64.b64decode(cell["bytes"]) if isinstance(cell["bytes"], str) else cell["bytes"]
    return int(np.asarray(Image.open(io.BytesIO(data)).convert("L"))[0, 0]) // GREY


def rows_of(file):
    """The rows of a CSV file by column."""
    return list(csv.DictReader(io.StringIO(file.read_bytes().decode(), newline="")))


def add(store, run, ids, places, truth, guess, epochs=1):
    with Recorder(store, run=run, wandb="off") as recorder:
        for epoch in range(1, epochs + 1):
            with recorder.table("test_predictions", epoch=epoch) as rows:
                rows.add(ids=list(ids), images=images(*places), truth=truth, guess=guess)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Images 0 to 3 as a, b, c, d in u and v, 2 and 3 as c, d and 0, 1 as e, f in w, the other way round in y."""
    path = tmp_path_factory.mktemp("made")
    add(path, "u", "abcd", (0, 1, 2, 3), [0, 1, 1, 0], [0, 0, 1, 1], epochs=2)
    add(path, "v", "abcd", (0, 1, 2, 3), [0, 1, 1, 0], [0, 1, 1, 1])
    add(path, "w", "cdef", (2, 3, 0, 1), [1, 0, 0, 1], [0, 1, 1, 1])
    add(path, "y", "abcd", (3, 2, 1, 0), [0, 1, 1, 0], [1, 1, 0, 0])
    record(path, "bare", {1: [("a", 0, 1), ("b", 1, 1)]})
    record(path, "texts", {1: [("a", 0, 1), ("b", 1, 1)]}, content={"a": "one", "b": "two | three\nfour"})
    return path


@pytest.fixture
def store(made):
    return sg.connect(made)


@pytest.fixture
def run(made, capsys):
    """Run `secondguess table` in this process: run(*args) -> (exit code, stdout, stderr)."""

    def command(*args):
        code = 0
        try:
            main(["table", *map(str, args), "--store", str(made)])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def shown(store, *tables, **how):
    """The rows, an image as its place, a list of them as a list of places."""

    def plain(value):
        if isinstance(value, list):
            return [plain(item) for item in value]
        return place(value) if isinstance(value, dict) and "bytes" in value else value

    return [tuple(map(plain, row)) for row in store.table(*tables, **how).fetchall()]


def test_an_image_is_a_column_like_any_where_it_is_named(store):
    assert shown(store, "u@1", columns="image, id") == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]
    assert store.table("u@1", columns="IMAGE, Digest").columns == ["image", "digest"]
    assert "image" not in store.table("u@1").columns


def test_an_image_stays_with_its_row_whatever_the_sort_and_the_page(store):
    how = {"columns": "id, image", "sort": "-truth, -id", "where": "id <> 'b'"}
    assert shown(store, "u@1", **how) == [("c", 2), ("d", 3), ("a", 0)]
    assert shown(store, "u@1", limit=1, offset=1, **how) == [("d", 3)]


def test_stacked_rows_each_have_the_image_of_their_own_run(store):
    found = shown(store, "w", "y", columns="run, id, image")
    assert found == [
        *zip("wwww", "cdef", (2, 3, 0, 1), strict=True),
        *zip("yyyy", "abcd", (3, 2, 1, 0), strict=True),
    ]


def test_rows_of_a_table_without_images_have_none(store):
    how = {"columns": "run, id, image", "where": "id = 'a'"}
    assert shown(store, "u@1", "bare", **how) == [("u", "a", 0), ("bare", "a", None)]
    with pytest.raises(BadInput, match="columns: there is no column 'image'; there are: run, epoch, id"):
        store.table("bare", columns="id, image")


def test_content_that_is_text_is_shown_as_text(store):
    assert shown(store, "texts", columns="id, content") == [("a", "one"), ("b", "two | three\nfour")]
    with pytest.raises(BadInput, match="there is no column 'image'"):
        store.table("texts", columns="image")


def test_a_group_shows_its_first_three_images(store):
    assert shown(store, "u@1", group="truth", columns="truth, n, image") == [(0, 2, [0, 3]), (1, 2, [1, 2])]
    assert shown(store, "u@1", aggregate="k = count(*)", columns="n, image") == [(4, [0, 1, 2])]
    assert shown(store, "texts", group="guess", columns="content") == [(["one", "two | three\nfour"],)]


def test_rows_are_grouped_by_their_image(store):
    found = shown(store, "u@1", "y", group="image", columns="n, image, id", where="id IN ('a', 'd')")
    assert sorted(found) == [(2, [0, 0], ["a", "d"]), (2, [3, 3], ["a", "d"])]


def test_a_join_is_grouped_by_the_image_of_all_or_of_a_side(store):
    found = shown(store, "u@1", "v", join="inner", group="image", columns="n, image, image_b, id")
    assert sorted(found) == [(1, [at], [at], [name]) for at, name in enumerate("abcd")]
    how = {"join": "inner", "key": "truth", "allow_duplicates": True, "columns": "n, image_a, id_a"}
    found = shown(store, "u@1", "w", group="image_a", **how)  # two rows of w have the truth of each of u
    assert sorted(found) == [(2, [at, at], [name, name]) for at, name in enumerate("abcd")]
    found = shown(store, "u@1", "w", group="image_a, image_b", where="digest_a = digest_b", **how)
    assert sorted(found) == [(1, [at], [name]) for at, name in enumerate("abcd")]


def test_a_join_with_images_in_one_table_is_grouped_by_them(store):
    found = shown(store, "bare", "u@1", join="outer", group="image_b", columns="n, image_b, id")
    assert found == shown(store, "bare", "u@1", join="outer", group="IMAGE", columns="n, image, id")
    assert sorted(found) == [(1, [at], [name]) for at, name in enumerate("abcd")]


def test_a_join_shows_the_image_of_each_side_and_one_for_all(store):
    found = shown(store, "u@1", "w", join="outer", columns="id, image, image_a, image_b")
    assert found == [
        ("a", 0, 0, None),
        ("b", 1, 1, None),
        ("c", 2, 2, 2),
        ("d", 3, 3, 3),
        ("e", 0, None, 0),
        ("f", 1, None, 1),
    ]


def test_a_join_on_the_digest_shows_equal_images_whatever_their_ids(store):
    found = shown(store, "u@1", "y", join="inner", key="digest", columns="id_a, id_b, image_a, image_b")
    assert found == [("a", "d", 0, 0), ("b", "c", 1, 1), ("c", "b", 2, 2), ("d", "a", 3, 3)]


def test_a_filter_and_a_sort_can_use_the_digest(store):
    digest = store.table("u@1", columns="digest", where="id = 'c'").fetchall()[0][0]
    assert shown(store, "u@1", where=f"digest = '{digest}'", columns="id, image") == [("c", 2)]
    assert shown(store, "y", only=[("digest", digest)], columns="id, image") == [("b", 2)]
    in_order = [row[0] for row in store.table("u@1", sort="digest", columns="digest").fetchall()]
    assert in_order == sorted(in_order)


@pytest.fixture(scope="module")
def repeated(tmp_path_factory):
    """An imported table with the id a twice, for two images."""
    folder = tmp_path_factory.mktemp("repeated")
    cells = []
    for shade in images(0, 1, 2):
        data = io.BytesIO()
        Image.fromarray(shade).save(data, "PNG")
        cells.append({"bytes": data.getvalue(), "path": None})
    image = pa.array(cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    pq.write_table(pa.table({"id": ["a", "a", "b"], "image": image, "guess": [0, 1, 0]}), folder / "t.parquet")
    main(["import", str(folder / "t.parquet"), "--run", "r", "--store", str(folder / "store")])
    return sg.connect(folder / "store")


@pytest.mark.parametrize("name", ["image", "digest"])
def test_images_of_repeated_ids_never_multiply_rows(repeated, name):
    """Refused, as a filter on the digest is, or each row once."""
    try:
        found = repeated.table("r", columns=["id", "guess", name]).fetchall()
    except BadInput:
        return
    assert [row[:2] for row in found] == [("a", 0), ("a", 1), ("b", 0)]


def test_groups_of_repeated_ids_never_show_images_of_other_rows(repeated):
    try:
        found = shown(repeated, "r", group="guess", columns="guess, image")
    except BadInput:
        return
    assert found == [(0, [0, 2]), (1, [1])]


def test_a_digest_of_repeated_ids_is_refused(repeated):
    for how in ({"group": "image"}, {"where": "digest IS NOT NULL"}, {"sort": "digest"}):
        with pytest.raises(BadInput, match="has repeated or missing ids, so it is not known which"):
            repeated.table("r", **how)


def test_a_join_on_the_digest_has_one_image_for_all(store):
    found = shown(store, "u@1", "y", join="inner", key="digest", columns="id_a, image")
    assert found == [("a", 0), ("b", 1), ("c", 2), ("d", 3)]


def test_rows_are_grouped_by_their_image_whatever_the_case_of_its_letters(store):
    assert len(shown(store, "u@1", group="IMAGE", columns="n")) == 4


def test_grouping_by_images_that_are_not_there_says_image(store):
    with pytest.raises(BadInput, match="there is no column 'image'"):
        store.table("bare", group="image")


@pytest.mark.parametrize("how", [{"where": "image IS NOT NULL"}, {"sort": "image"}, {"add": "i = image"}], ids=str)
def test_an_expression_on_the_image_works_or_says_that_it_is_the_digest_that_can_be_used(store, how):
    try:
        assert len(store.table("u@1", columns="id", **how).fetchall()) == 4
    except sg.SecondguessError as error:
        assert "image" in str(error) and "digest" in str(error) and "Binder" not in str(error)


def test_a_filter_does_not_change_the_columns_that_are_shown(store):
    assert store.table("u@1", where="digest IS NOT NULL").columns == store.table("u@1").columns


# Exported


def test_csv_names_files_beside_it_that_hold_each_image_once(run, tmp_path):
    file = tmp_path / "answer 😀.csv"
    code, out, err = run("u@1", "u@2", "--columns", "epoch, id, image", "-o", file)
    assert (code, out, err) == (0, "", f"wrote 8 rows to {file}\n")
    rows = rows_of(file)
    assert [(row["epoch"], row["id"]) for row in rows] == [(epoch, name) for epoch in "12" for name in "abcd"]
    found = [place({"bytes": (tmp_path / row["image"]).read_bytes()}) for row in rows]
    assert found == [0, 1, 2, 3] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answer 😀-images", "answer 😀.csv"]
    assert len(list((tmp_path / "answer 😀-images").iterdir())) == 4
    assert all(row["image"].startswith("answer 😀-images/") and row["image"].endswith(".png") for row in rows)


def test_csv_has_a_list_of_files_for_the_images_of_a_group(run, tmp_path):
    assert run("u@1", "--group", "truth", "--columns", "truth, image", "-o", tmp_path / "g.csv")[0] == 0
    rows = rows_of(tmp_path / "g.csv")
    found = [[place({"bytes": (tmp_path / name).read_bytes()}) for name in json.loads(row["image"])] for row in rows]
    assert found == [[0, 3], [1, 2]]


def test_csv_of_an_outer_join_has_nothing_where_a_side_has_no_image(run, tmp_path):
    how = ("u@1", "w", "--join", "outer", "--columns", "id, image_a, image_b", "-o", tmp_path / "j.csv")
    assert run(*how)[0] == 0
    rows = {row["id"]: row for row in rows_of(tmp_path / "j.csv")}
    assert (rows["a"]["image_b"], rows["e"]["image_a"]) == ("", "")
    assert rows["c"]["image_a"] == rows["c"]["image_b"] != ""


def test_only_the_images_of_the_rows_that_are_written_are_written(run, tmp_path):
    how = ("u@1", "--columns", "image", "--where", "guess <> truth", "--limit", "1", "-o", tmp_path / "x.csv")
    assert run(*how)[0] == 0
    assert len(list((tmp_path / "x-images").iterdir())) == 1
    assert run("u@1", "--columns", "id", "-o", tmp_path / "y.csv")[0] == 0
    assert not (tmp_path / "y-images").exists()


def test_json_holds_the_images_themselves(run, tmp_path):
    assert run("u@1", "--columns", "id, image", "-o", tmp_path / "x.json")[0] == 0
    rows = json.loads((tmp_path / "x.json").read_text())
    assert [(row["id"], place(row["image"])) for row in rows] == [("a", 0), ("b", 1), ("c", 2), ("d", 3)]
    assert list(tmp_path.iterdir()) == [tmp_path / "x.json"]
    out = run("u@1", "--columns", "id, image", "--format", "json")[1]
    assert json.loads(out) == rows


def test_parquet_holds_the_images_themselves(run, tmp_path):
    file = tmp_path / "x.parquet"
    assert run("u@1", "--columns", "id, image, truth", "--sort", "-id", "-o", file)[0] == 0
    found = duckdb.read_parquet(str(file))
    assert [str(kind) for kind in found.types] == ["VARCHAR", "STRUCT(bytes BLOB, path VARCHAR)", "BIGINT"]
    assert [(row[0], place(row[1])) for row in found.fetchall()] == [("d", 3), ("c", 2), ("b", 1), ("a", 0)]
    assert list(tmp_path.iterdir()) == [file]


def test_markdown_names_the_files(run, tmp_path):
    assert run("u@1", "--columns", "id, image", "--limit", "2", "-o", tmp_path / "x.md")[0] == 0
    lines = (tmp_path / "x.md").read_text().splitlines()
    assert lines[0] == "| id | image |"
    files = sorted(path.name for path in (tmp_path / "x-images").iterdir())
    assert len(lines) == 4 and len(files) == 2
    assert all(any(name in line for line in lines[2:]) for name in files)


def test_content_that_is_text_is_written_as_text(run, tmp_path):
    assert run("texts", "--columns", "id, content", "-o", tmp_path / "t.csv")[0] == 0
    assert rows_of(tmp_path / "t.csv")[1] == {"id": "b", "content": "two | three\nfour"}
    assert run("texts", "--columns", "id, content", "-o", tmp_path / "t.md")[0] == 0
    assert (tmp_path / "t.md").read_text().splitlines()[3] == "| b | two \\| three<br>four |"


def test_an_image_is_named_by_its_size_where_it_cannot_be_drawn(run):
    assert "<image, " in run("u@1", "--columns", "id, image", "--limit", "1")[1]


def test_nothing_is_written_in_the_store(run, made):
    before = bytes_of(made)
    for name in ("x.csv", "x.json", "sub/x.md"):
        code, out, err = run("u@1", "--columns", "image", "-o", made / name)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert "lies in the store, which only recording writes to; name a file outside" in err
    assert bytes_of(made) == before


def test_images_are_not_written_in_a_store_that_is_called_as_their_folder(tmp_path, capsys):
    store = tmp_path / "answer-images"
    add(store, "u", "a", (1,), [0], [0])
    before = bytes_of(store)
    with pytest.raises(SystemExit):
        main(["table", "u", "--columns", "image", "-o", str(tmp_path / "answer.csv"), "--store", str(store)])
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert bytes_of(store) == before


def test_a_device_gets_no_folder_of_images(run, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        run("u@1", "--columns", "image", "--format", "csv", "-o", pipe)
    finally:
        os.close(reader)
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_folder_that_cannot_hold_the_images_is_said_in_one_line(run, tmp_path):
    (tmp_path / "x-images").write_text("a file")
    code, out, err = run("u@1", "--columns", "image", "-o", tmp_path / "x.csv")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert err.startswith(f"secondguess: cannot write images to {tmp_path / 'x-images'}: ")
    assert not (tmp_path / "x.csv").exists()


def test_a_missing_examples_file_is_said_and_everything_else_is_shown(tmp_path, capsys):
    add(tmp_path, "u", "a", (1,), [0], [0])
    for path in (tmp_path / "examples").iterdir():
        path.unlink()
    main(["table", "u", "--columns", "id, guess", "--format", "csv", "--store", str(tmp_path)])
    assert capsys.readouterr().out == "id,guess\na,0\n"
    main(["table", "u", "--columns", "id, image", "--format", "csv", "--store", str(tmp_path)])
    out, said = capsys.readouterr()
    assert out == "id,image\na,\n"
    assert said.startswith("left out examples: ") and " is missing" in said
    with pytest.raises(SystemExit):
        main(["sql", "SELECT * FROM examples", "--store", str(tmp_path)])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("is missing; restore it from a copy, or ask without examples")


def test_the_images_of_a_compacted_store_are_the_same(made):
    """A finished run is one file for all its epochs; each row still finds its image."""
    files = list((made / "u" / "test_predictions").glob("*.parquet"))
    assert len(files) == 1
    found = shown(sg.connect(made), "u@all", columns="epoch, id, image")
    assert found == [(epoch, name, number) for epoch in (1, 2) for number, name in enumerate("abcd")]
