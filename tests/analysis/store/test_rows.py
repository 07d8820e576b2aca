"""The committed rows that are mirrored elsewhere, and their images."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from secondguess.analysis.cli import main
from secondguess.analysis.store.rows import read_epoch, read_wrong


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (3, 2), shade).save(out, "PNG")
    return out.getvalue()


def test_a_row_has_no_image_where_its_id_stands_for_several(tmp_path: Path) -> None:
    """a is two images and c one that comes twice; guess and truth differ in the last row of a, and in c's."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    files = [{"bytes": png(shade), "path": None} for shade in (1, 2, 3, 4, 4)]
    columns = {"id": list("aabcc"), "image": pa.array(files, kind), "guess": [0, 1, 0, 1, 1], "truth": [0] * 5}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    main(["import", str(tmp_path / "t.parquet"), "--store", str(tmp_path / "s")])
    rows = read_epoch(tmp_path / "s", "t", "test_predictions", 1, None)
    assert rows.images == [None, None, png(3), png(4), png(4)]
    wrong = read_wrong(tmp_path / "s", "t", "test_predictions", 1, 2)
    assert (wrong.predictions["id"].to_pylist(), wrong.images, wrong.rows) == (["a", "c"], [None, png(4)], 3)
