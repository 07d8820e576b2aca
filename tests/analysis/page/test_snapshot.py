"""Pages written as files: they open from the disk, lead to each other, hold their images, and ask nothing."""

import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from page import table_url
from recording import bytes_of, record
from waiting import HANG_S

from secondguess.analysis.page.snapshot import address

pytest_plugins = ["page"]


def view(store: Path, folder: Path, *addresses: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "secondguess", "view", "--export", str(folder), "--store", str(store), *addresses]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)


@pytest.fixture(scope="module")
def written(shared_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "pages"
    done = view(shared_store, folder)
    assert done.returncode == 0, done.stderr
    *faults, last = done.stderr.splitlines()
    assert re.fullmatch(rf"wrote \d+ pages, \d+\.\d MB, to {folder}; open {folder}/index.html", last)
    # What the page leads to and cannot show is said, by its address.
    assert [fault for fault in faults if "has no truth, so nothing in it is right or wrong" not in fault] == []
    return folder


def test_without_an_address_they_are_all_runs_each_run_and_what_these_lead_to(written: Path) -> None:
    titles = [re.search("<title>(.*?) ·", path.read_text())[1] for path in written.iterdir()]
    for title in ("Runs", "cnn", "double", "cnn@3", "Errors by guess"):
        assert title in titles, title
    assert "<title>Runs" in (written / "index.html").read_text()


def test_every_link_leads_to_a_file_that_is_there(written: Path) -> None:
    texts = {path.name: path.read_text() for path in written.iterdir()}
    links = {link for text in texts.values() for link in re.findall(r'href="([^"]+)"', text)}
    inside = {link for link in links if not link.startswith(("#", "data:"))}
    assert len(inside) > 10
    assert inside <= texts.keys()
    reached = {"index.html"}
    while True:
        more = {link for name in reached for link in inside if f'href="{link}"' in texts[name]} - reached
        if not more:
            break
        reached |= more
    assert reached == texts.keys()


def test_nothing_in_them_needs_a_server(written: Path) -> None:
    for path in written.iterdir():
        text = path.read_text()
        for part in ("<script", "<form", "<button", "<input", '<link rel="stylesheet', 'src="/', 'href="/', "csrf"):
            assert part not in text, (path.name, part)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_them_from_the_disk_and_asks_nothing(written: Path, browser: Any, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, offline=True)
    tab = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: faults.append(message.text))
    tab.goto((written / "index.html").as_uri())
    assert "cnn" in tab.inner_text("table")
    tab.click("table a:text-is('cnn')")
    assert tab.inner_text("h1").startswith("cnn")
    table = next(path for path in written.iterdir() if "<title>cnn@3 ·" in path.read_text())
    tab.goto(table.as_uri())
    assert set(tab.eval_on_selector_all("tbody img", "all => all.map(one => one.naturalWidth)")) == {8}
    assert not tab.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert {url for url in asked if url.startswith("file:")} <= {path.as_uri() for path in written.iterdir()}
    assert faults == []
    context.close()


def test_the_store_is_as_it_was_and_it_is_the_same_when_made_again(shared_store: Path, tmp_path: Path) -> None:
    before = bytes_of(shared_store)
    for name in ("one", "two"):
        assert view(shared_store, tmp_path / name, "/run?run=cnn").returncode == 0
    assert bytes_of(shared_store) == before
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_chosen_pages_are_the_only_ones_and_have_an_index(shared_store: Path, tmp_path: Path) -> None:
    where = table_url("cnn@3", where="wrong")
    done = view(shared_store, tmp_path / "x", "http://127.0.0.1:4000/runs", where, "double@2")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "x").iterdir())) == 4
    index = unescape((tmp_path / "x" / "index.html").read_text())
    assert [title for title in ("Runs</a>", "cnn@3</a>", "double@2</a>") if title not in index] == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["nobody@3"], "no run named 'nobody'"),
        (["/nothing"], "There is no page at this address"),
        (["/runs.json"], "it is no page"),
        (["/table?t=cnn%403&where=("], "cannot be drawn"),
    ],
)
def test_an_address_that_is_no_page_is_said_and_nothing_is_left(shared_store, tmp_path, given, said) -> None:
    done = view(shared_store, tmp_path / "x", *given)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_and_one_in_the_store_are_refused(shared_store: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for folder, said in ((tmp_path, "is there and not empty"), (shared_store / "x", "lies in the store")):
        done = view(shared_store, folder)
        assert (done.returncode, said in done.stderr) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_of_many_pages_each_runs_goes_first_and_the_rest_is_counted(tmp_path: Path) -> None:
    for number in range(6):
        epochs = {epoch: [("a", 0, 0), ("b", 0, 1)] for epoch in range(1, 40)}
        record(tmp_path / "store", f"run{number}", epochs)
    done = view(tmp_path / "store", tmp_path / "x")
    assert "wrote 200 pages" in done.stderr
    assert re.search(r"\n\d+ more that they lead to are left out; name their addresses", done.stderr)
    assert len(list((tmp_path / "x").glob("run-*"))) == 6


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("cnn@5", "/table?t=cnn%405"),
        ("http://127.0.0.1:4000/table?t=cnn@5#x", "/table?t=cnn%405"),
        ("http://127.0.0.1:4000", "/runs"),
        ("/run?run=a%20b", "/run?run=a+b"),
    ],
)
def test_an_address_is_as_a_browser_shows_it_or_a_table(text: str, key: str) -> None:
    assert address(text) == key
