"""What outlives the page's server: its port, its secret, and so bookmarks; and what never lies in a store."""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from page import Server, serving, table_url
from recording import bytes_of, record
from waiting import HANG_S

from secondguess.analysis.page.gate import Keys
from secondguess.analysis.serving.secret import Secret, Serving

pytest_plugins = ["page"]
DAY_S = 86_400


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "predictions"
    record(path, "cnn", {1: [("a", 0, 0), ("b", 0, 1)]})
    return path


def view(store: Path, home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Another `secondguess view`, which ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "secondguess", "view", "--no-browser", "--store", str(store), *options],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        env={**os.environ, "XDG_STATE_HOME": str(home)},
    )


def again(store: Path, tmp_path: Path, *options: str) -> Any:
    """The page of a store, as one user."""
    return serving(store, tmp_path / "stderr", *options, XDG_STATE_HOME=str(tmp_path / "home"))


def kept(tmp_path: Path) -> Path:
    """The one file that is kept."""
    (path,) = (tmp_path / "home" / "secondguess" / "pages").iterdir()
    return path


def test_a_bookmark_and_an_open_form_outlive_the_server(store: Path, tmp_path: Path) -> None:
    with again(store, tmp_path) as first:
        port, cookie, csrf, token = first.port, first.cookie, first.csrf, first.token
    with again(store, tmp_path) as second:
        assert second.port == port
        assert second.ask(table_url("cnn@1"), Cookie=cookie).status == 200
        assert second.post("/save", {"csrf": csrf, "t": "cnn@1", "name": "kept"}, Cookie=cookie).status == 303
        assert second.token != token
        assert second.ask(f"/open?token={token}", Cookie=None).status == 401


def test_a_new_token_ends_what_was_let_in(store: Path, tmp_path: Path) -> None:
    with again(store, tmp_path) as first:
        port, cookie = first.port, first.cookie
    with again(store, tmp_path, "--new-token") as second:
        assert second.port == port
        assert second.ask("/runs", Cookie=cookie).status == 401
        assert second.ask("/runs").status == 200


def test_the_secret_is_the_users_alone_and_not_in_the_store(store: Path, tmp_path: Path) -> None:
    with again(store, tmp_path) as server:
        path, secret = kept(tmp_path), json.loads(kept(tmp_path).read_text())["secret"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        said = [*bytes_of(store).values(), (tmp_path / "stderr").read_bytes(), server.ask("/runs").body]
        assert not [text for text in said if secret.encode() in text or bytes.fromhex(secret) in text]
        copied = Path(shutil.copytree(store, tmp_path / "copy"))
    with again(copied, tmp_path) as other:
        assert other.port != server.port or other.ask("/runs", Cookie=server.cookie).status == 401
        assert other.ask("/runs", Cookie=server.cookie).status == 401


def test_a_second_page_of_a_store_says_where_the_first_is_and_lets_a_browser_in(store: Path, tmp_path: Path) -> None:
    with again(store, tmp_path) as server:
        done = view(store, tmp_path / "home")
        assert done.returncode == 0, done.stderr
        assert f"is open already at {server.base} (process {server.process.pid})" in done.stdout
        (url,) = re.findall(rf"{re.escape(server.base)}(/open\?token=\S+)", done.stdout)
        answer = server.ask(url, Cookie=None)
        assert server.ask("/runs", Cookie=answer.header("set-cookie").partition(";")[0]).status == 200
        for options in (["--new-token"], ["--port", "1024"]):
            refused = view(store, tmp_path / "home", *options)
            assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
            assert f"is open already at {server.base}" in refused.stderr
    assert view(store, tmp_path / "home", "--memory", "lots").returncode == 1


def test_a_port_that_another_program_has_is_said_and_had_again_later(store: Path, tmp_path: Path) -> None:
    with again(store, tmp_path) as first:
        port = first.port
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with again(store, tmp_path) as second:
            assert second.port != port
            assert f"port {port}, which bookmarks of this page have, is taken" in (tmp_path / "stderr").read_text()
    with again(store, tmp_path) as third:
        assert third.port == port


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"secret": "00", "port": -1}', '{"secret": 7, "port": "x"}', "[" * 9_999]
)
def test_a_file_that_is_damaged_is_replaced(store: Path, tmp_path: Path, text: str) -> None:
    with Secret(store, tmp_path) as one:
        one.serves(4_000, "http://127.0.0.1:4000")
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    with Secret(store, tmp_path) as other:
        assert (other.key == one.key, other.port, "was damaged" in other.fault) == (False, 0, bool(text))


def test_a_file_that_others_could_read_is_no_secret_any_more(store: Path, tmp_path: Path) -> None:
    with Secret(store, tmp_path) as one:
        one.serves(4_000, "")
    (path,) = tmp_path.iterdir()
    path.chmod(0o644)
    with Secret(store, tmp_path) as other:
        assert other.key != one.key
        assert "others could read" in other.fault
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with Secret(store, tmp_path) as linked:
        assert "cannot be kept" in linked.fault
    assert not (tmp_path / "elsewhere").exists()


def test_where_nothing_can_be_kept_the_page_is_shown_and_it_is_said(store: Path, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with again(store, tmp_path) as server:
        assert server.ask("/runs").status == 200
        assert "bookmarks and tokens of the page end with it" in (tmp_path / "stderr").read_text()


def test_one_process_has_a_stores_secret_and_another_stores_is_another(store: Path, tmp_path: Path) -> None:
    with Secret(store, tmp_path) as one:
        one.serves(4_000, "http://127.0.0.1:4000")
        with pytest.raises(Serving, match=rf"open already at http://127.0.0.1:4000 \(process {os.getpid()}\)"):
            Secret(store, tmp_path)
        with Secret(tmp_path, tmp_path) as other:
            assert other.key != one.key
    with Secret(store, tmp_path) as later:
        assert (later.key, later.port) == (one.key, 4_000)


@pytest.mark.parametrize(
    ("days", "known"),
    [(0, True), (29, True), (31, False)],
)
def test_a_cookie_is_known_for_thirty_days(days: int, known: bool) -> None:
    keys = Keys()
    now = time.time()
    assert keys.knows(keys.cookie(now), now + days * DAY_S) is known


def test_a_cookie_is_no_token_nor_the_other_way_round_and_its_date_is_signed() -> None:
    keys = Keys()
    cookie, token = keys.cookie(1_000), keys.letting_in(1_000)
    assert not keys.lets_in(cookie, 1_000)
    assert not keys.knows(token, 1_000)
    assert not Keys().knows(cookie, 1_000)
    end, _, signature = cookie.partition(".")
    for forged in (
        f"{int(end) + 1}.{signature}",
        f"{end}.",
        end,
        "",
        f" {end}.{signature}",
        f"+{end}.{signature}",
        "é",
    ):
        assert not keys.knows(forged, 1_000), forged


def test_a_browser_that_is_not_let_in_is_told_how_to_get_in(store: Path, tmp_path: Path) -> None:
    with again(store, tmp_path) as server:
        answer = server.ask("/runs", Cookie=None, Accept="text/html,*/*")
        assert answer.status == 401
        assert answer.header("content-type").startswith("text/html")
        for words in ("open the address that", "run <code>secondguess view</code> again", "30 days"):
            assert words in answer.text
        assert str(store) not in answer.text
        assert "run secondguess view again" in server.ask("/runs.json", Cookie=None).text


def test_a_browser_keeps_its_bookmark(store: Path, tmp_path: Path, browser: Any) -> None:
    context = browser.new_context()
    tab = context.new_page()
    with again(store, tmp_path) as first:
        tab.goto(first.url)
        tab.wait_for_url(f"{first.base}/runs")
        bookmark = first.base + table_url("cnn@1")
    with again(store, tmp_path) as second:
        assert isinstance(second, Server)
        assert tab.goto(bookmark).status == 200
        assert "1 of 2 wrong" in tab.inner_text("main")
    context.close()
