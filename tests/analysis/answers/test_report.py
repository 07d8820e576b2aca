"""The report of two tables: one file that needs nothing else, the same whenever it is made, small, readable."""

import base64
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from secondguess.analysis.cli import main
from secondguess.trainer.recorder import Recorder

pytest_plugins = ["page"]
N = 40


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """Of 40 images of 8 x 8: b fixes 6 of a's errors and breaks 2; the last image is large."""
    path = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (8, 8), np.uint8) for _ in range(N)]
    wrong = {"a": set(range(6)), "b": {6, 7}}
    for run, of_run in wrong.items():
        with Recorder(path, run=run, wandb="off") as recorder, recorder.table("test_predictions", epoch=1) as table:
            guess = [int(i in of_run) for i in range(N)]
            table.add(ids=[f"x{i:02d}" for i in range(N)], truth=[0] * N, guess=guess, images=images)
    return path


def report(store: Path, file: Path, *more: str) -> str:
    main(["compare", "a", "b", "--store", str(store), "--html", str(file), *more])
    return file.read_text()


def test_it_says_what_the_command_says_and_shows_the_images_that_changed(store, tmp_path, capsys):
    text = report(store, tmp_path / "r.html", "--by", "truth")
    for line in capsys.readouterr().out.splitlines()[:5]:
        assert line in text
    images = re.findall(r'<img src="data:image/png;base64,([^"]+)" [^>]*alt="example (x\d\d)"', text)
    assert sorted(name for _, name in images) == [f"x{i:02d}" for i in range(8)]
    assert all(base64.b64decode(data).startswith(b"\x89PNG") for data, _ in images)
    assert "<h2>By truth</h2>" in text
    assert " href=" not in text
    assert len(text) < 2_000_000


def test_it_is_the_same_bytes_when_it_is_made_again(store, tmp_path):
    assert report(store, tmp_path / "one.html") == report(store, tmp_path / "two.html")


@pytest.mark.parametrize("width", [1280, 390])
def test_it_opens_from_the_disk_and_asks_nothing_of_the_network(store, tmp_path, browser, width):
    report(store, tmp_path / "r.html")
    context = browser.new_context(viewport={"width": width, "height": 800}, offline=True)
    tab = context.new_page()
    asked, faults = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: faults.append(message.text))
    tab.goto((tmp_path / "r.html").as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [(tmp_path / "r.html").as_uri()]
    assert faults == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    widths = tab.eval_on_selector_all("ul.flipped img", "images => images.map(image => image.naturalWidth)")
    assert widths == [8] * 8
    context.close()


def test_what_it_is_not_made_of_is_said(store, tmp_path, capsys):
    for args in (["a", "b", "a@1"], ["a", "--with", "b"]):
        with pytest.raises(SystemExit):
            main(["compare", *args, "--store", str(store), "--html", str(store / "r.html")])
        assert "lies in the store" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["compare", "a", "--store", str(store), "--html", str(tmp_path / "r.html")])
    assert not (tmp_path / "r.html").exists()


def test_a_large_image_is_left_out_and_counted(tmp_path):
    rng = np.random.default_rng(0)
    for run, guess in (("a", 0), ("b", 1)):
        with Recorder(tmp_path / "s", run=run, wandb="off") as recorder, recorder.table("t", epoch=1) as table:
            table.add(ids=["x"], truth=[0], guess=[guess], images=[rng.integers(0, 255, (256, 256, 3), np.uint8)])
            rng = np.random.default_rng(0)
    main(["compare", "a/t", "b/t", "--store", str(tmp_path / "s"), "--html", str(tmp_path / "r.html")])
    assert "1 images are larger than 40 KB and left out" in (tmp_path / "r.html").read_text()


def test_images_that_cannot_be_read_are_said_and_the_numbers_stay(store, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(store, copy)
    for file in (copy / "examples").glob("*.parquet"):
        file.unlink()
    text = report(copy, tmp_path / "r.html")
    assert "examples file" in text
    assert "data:image" not in text


def test_the_answer_and_the_report_are_two_files(store, tmp_path, capsys):
    with pytest.raises(SystemExit):
        report(store, tmp_path / "r.html", "-o", str(tmp_path / "r.html"), "--format", "json")
    assert "would be written twice" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()
