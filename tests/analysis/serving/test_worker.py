"""Questions of the page that take too long, too much, or whose process dies: the page and the next question go on."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest
from page import Server, children, read_process, resting, seconds, serving, table_url
from stores import record
from waiting import HANG_S, until

from secondguess.analysis.engine import duck
from secondguess.analysis.serving.pool import Workers
from secondguess.analysis.serving.worker import Asked, Reply, _answer
from secondguess.analysis.store.runs import list_runs

pytest_plugins = ["page"]

_ROWS = "range(100000) a, range(100000) b, range(100000) c"  # each small, so that time is what they take
ENDLESS = f"SELECT count(*) FROM {_ROWS} WHERE (a.range + b.range * c.range) % 7 = 3"
IN_ONE_CALL = "SELECT levenshtein(repeat('ab', 100000), repeat('ba', 100000)) AS n"  # no interrupt reaches it
CNN = table_url("cnn@3")


@pytest.fixture(scope="module")
def quick(page_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A page whose questions may take a second and 200 MB."""
    log = tmp_path_factory.mktemp("quick") / "stderr"
    with serving(page_store, log, "--seconds", "1", "--memory", "200MB") as found:
        yield found


@pytest.fixture(scope="module")
def patient(page_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A page whose questions may take a day."""
    with serving(page_store, tmp_path_factory.mktemp("patient") / "stderr", "--seconds", "86400") as found:
        yield found


def answers(server: Server) -> bool:
    """Wait until questions are answered again, two at once; on a busy machine some take longer than they may."""

    def answered(number: int) -> bool:
        answer = server.sql(f"SELECT 4200 + {number} AS n")
        assert answer.status in {200, 503}, answer.text
        return answer.status == 200 and f"4,2{number}" in answer.text

    with ThreadPoolExecutor(2) as both:
        until(lambda: all(both.map(answered, [42, 43])))
    return True


def computing(server: Server, since: Mapping[int, float]) -> list[int]:
    """The workers that have computed for a tenth of a second since they had computed for as long."""
    return [pid for pid in server.workers() if pid in since and seconds(pid) > since[pid] + 0.1]


def settled(server: Server) -> dict[int, float]:
    """The CPU time of each worker once both have begun and nobody asks them anything."""
    answers(server)
    until(lambda: len(server.workers()) == 2)
    return {pid: seconds(pid) for pid in server.workers()}


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose clock can be put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def test_the_time_to_begin_is_no_questions_time(
    page_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processes begin when there is a file `go`, an hour after the question, which may take a minute or so."""
    held = "import os, sys, time\nwhile 'spawn_main' in ' '.join(sys.orig_argv) and not os.path.exists({!r}):\n"
    (tmp_path / "sitecustomize.py").write_text(held.format(str(tmp_path / "go")) + "    time.sleep(0.02)\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    loop = Clock()

    async def asked() -> Reply:
        async with Workers(HANG_S, "1GB") as workers:
            question = asyncio.create_task(workers.ask(Asked("sql", page_store, "SELECT 42 AS n")))
            for _ in range(10):
                await asyncio.sleep(0)  # until it waits for the process
            loop.ahead = 3_600
            (tmp_path / "go").touch()
            return await question

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(asked()).rows == [(42,)]


def megabytes(pid: int) -> float:
    """The memory a process has now."""
    parts = read_process(pid, "statm").split()
    return int(parts[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if parts else 0.0


@pytest.mark.parametrize("text", [ENDLESS, IN_ONE_CALL])
def test_a_question_that_takes_too_long_is_stopped_and_said(quick: Server, text: str) -> None:
    answer = quick.sql(text)
    assert answer.status == 503
    assert "stopped after 1 seconds" in answer.text
    assert text.split("'")[0] in answer.text.replace("&#39;", "'")  # what was typed is still in its box
    assert "Traceback" not in answer.text
    assert answers(quick)


@pytest.mark.parametrize("name", ["where", "add", "sort"])
def test_what_an_address_asks_is_stopped_too(quick: Server, name: str) -> None:
    slow = f"(SELECT count(*) FROM {_ROWS} WHERE (a.range + b.range * c.range) % 7 = {{}}) = 0"
    text = {"where": slow.format("epoch"), "add": f"n = {slow.format(3)}", "sort": slow.format(3)}[name]
    answer = quick.ask(table_url("cnn@3", **{name: text}))
    assert answer.status in {400, 503}  # one that is refused at once is as well
    assert answers(quick)


def test_what_asks_nothing_is_answered_while_all_processes_compute(patient: Server) -> None:
    before = settled(patient)
    form = urlencode({"csrf": patient.csrf, "sql": ENDLESS})
    slow = [asking(patient, "POST /sql", form) for _ in range(4)]
    until(lambda: len(computing(patient, before)) == 2)
    assert patient.ask("/help").status == 200
    for one in slow:
        one.close()
    assert answers(patient)


def test_slow_questions_hold_up_others_no_longer_than_their_limit(quick: Server) -> None:
    with ThreadPoolExecutor(4) as people:
        assert [answer.status for answer in people.map(quick.sql, [ENDLESS] * 4)] == [503] * 4
    assert answers(quick)


@pytest.mark.parametrize(
    "text", ["SELECT list(range) FROM range(100000000)", "SELECT range FROM range(100000000) ORDER BY -range"]
)
def test_a_question_that_takes_too_much_memory_is_said(quick: Server, text: str) -> None:
    answer = quick.sql(text)
    assert answer.status in {400, 503}
    assert "memory" in answer.text or "stopped after" in answer.text
    assert "Traceback" not in answer.text
    assert answers(quick)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT repeat('x', 100000000 + range::INT) AS n FROM range(50)",
        "SELECT length(lpad('x', 2000000000, 'y')) AS n",
    ],
)
def test_no_question_makes_its_process_large(quick: Server, text: str) -> None:
    """The limit is 200 MB; twice that and what the process has anyway, 1 GB, is far from it."""
    with ThreadPoolExecutor(1) as one:
        asked = one.submit(quick.sql, text)
        most = 0.0
        while not asked.done():
            most = max([most, *map(megabytes, quick.workers())])
            time.sleep(0.01)
    assert asked.result().status in {400, 503}
    assert megabytes(quick.process.pid) < 1000
    assert most < 1000
    assert answers(quick)


def test_a_question_whose_process_is_killed_is_said_and_the_next_is_answered(patient: Server) -> None:
    before = settled(patient)
    with ThreadPoolExecutor(1) as one:
        asked = one.submit(patient.sql, ENDLESS)
        until(lambda: computing(patient, before))
        os.kill(computing(patient, before)[0], signal.SIGKILL)
        answer = asked.result()
    assert answer.status in {400, 503}
    assert "the process that answers stopped; ask again" in answer.text
    assert answers(patient)


def kill_all(server: Server) -> None:
    """Kill the processes that answer, and wait until they are dead."""
    dead = server.workers()
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    # Its parent knows when it is a zombie and its other threads have ended, too.
    until(lambda: not set(dead) & set(children(server.process.pid)))
    until(lambda: all(len(list(Path(f"/proc/{pid}/task").glob("*"))) < 2 for pid in dead))


def test_processes_killed_while_nobody_asks_are_not_noticed(patient: Server) -> None:
    settled(patient)
    kill_all(patient)
    assert [patient.sql("SELECT 1").status for _ in range(2)] == [200, 200]


def test_processes_killed_while_nobody_asks_are_replaced_at_last(patient: Server) -> None:
    settled(patient)
    for pid in patient.workers():
        os.kill(pid, signal.SIGKILL)
    until(lambda: patient.sql("SELECT 1").status == 200)
    until(lambda: all(patient.sql("SELECT 1").status == 200 for _ in range(4)))
    assert answers(patient)


def asking(server: Server, head: str, body: str = "") -> socket.socket:
    """A connection that has asked and not been answered yet."""
    one = socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S)
    lines = (
        f"{head} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"Origin: {server.base}",
        f"Cookie: {server.cookie}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
        "",
        body,
    )
    one.sendall("\r\n".join(lines).encode())
    return one


@pytest.mark.parametrize("how", ["sql", "question"])
def test_what_nobody_waits_for_any_more_is_stopped(patient: Server, how: str) -> None:
    """Leaving the page closes its connection; what computes for it stops, and goes on with the next question."""
    folder = patient.store / "questions"
    folder.mkdir(exist_ok=True)
    (folder / "endless.sql").write_text(f"-- Never answered\n{ENDLESS.replace('SELECT', 'SELECT 1 + ', 1)}\n")
    before = settled(patient)
    form = urlencode({"csrf": patient.csrf, "sql": ENDLESS})
    one = asking(patient, "POST /sql", form) if how == "sql" else asking(patient, "GET /questions?q=endless&t=cnn%403")
    until(lambda: computing(patient, before))
    one.close()
    until(lambda: resting(patient))
    assert answers(patient)
    assert set(patient.workers()) == set(before)
    (folder / "endless.sql").unlink()


def test_a_question_that_is_left_is_no_fault_of_the_servers(patient: Server) -> None:
    said = patient.said.read_text()
    assert "Traceback" not in said
    assert "Exception" not in said


def test_rows_beyond_a_thousand_are_not_sent_and_it_says_so(server: Server) -> None:
    answer = server.sql("SELECT * FROM range(1000)")
    assert "there are more" not in answer.text
    answer = server.sql("SELECT * FROM range(1001)")
    assert "there are more" in answer.text
    assert answer.text.count("<tr>") == 1001  # with its head


def test_a_page_of_a_view_has_no_more_rows_than_a_page_takes(server: Server) -> None:
    """A limit in an address is a wish."""
    answer = server.ask(table_url("cnn@all", "double@all", path="/table.json", limit="100000000"))
    assert answer.status == 200
    assert len(answer.data["panels"][0]["rows"]) == 360


def test_the_guard_reads_every_text_of_an_address(server: Server) -> None:
    """Nothing of a person's reads a file or says what the machine is."""
    for name, text in (
        ("where", "(SELECT count(*) FROM read_text('/etc/passwd')) = 1"),
        ("where", "(SELECT count(*) FROM '/etc/passwd') = 1"),
        ("where", "(SELECT count(*) FROM glob('/*')) = 1"),
        ("where", "current_setting('temp_directory') = ''"),
        ("where", "true); COPY (SELECT 1) TO 'x.csv'; --"),
        ("add", "x = (SELECT content FROM read_text('/etc/passwd'))"),
        ("add", "x = getenv('HOME')"),
        ("sort", "(SELECT 1 FROM duckdb_settings())"),
        ("aggregate", "x = (SELECT count(*) FROM read_csv('/etc/passwd'))"),
        ("group", "read_text('/etc/passwd')"),
        ("columns", "read_text('/etc/passwd')"),
        ("key", "read_text('/etc/passwd')"),
    ):
        join = {"join": "inner"} if name == "key" else {}
        answer = server.ask(table_url("cnn@1", *(["cnn@2"] if join else []), **{name: text}, **join))
        assert answer.status in {400, 404}, (name, text, answer.status)
        assert "root:" not in answer.text


def test_an_export_leaves_no_file_behind(page_store: Path, tmp_path: Path) -> None:
    with serving(page_store, tmp_path / "stderr", "--seconds", "1", TMPDIR=str(tmp_path)) as server:
        until(lambda: server.ask(table_url("cnn@3", path="/export", format="csv")).status == 200)
        until(lambda: server.ask(table_url("cnn@3", path="/export", where="guss = 1")).status == 400)
        slow = f"(SELECT count(*) FROM {_ROWS} WHERE (a.range + b.range * c.range) % 7 = epoch) = 0"
        assert server.ask(table_url("cnn@3", path="/export", where=slow)).status in {400, 503}
        until(lambda: not list(tmp_path.glob("secondguess-*")))
    assert not children(server.process.pid)


def test_nothing_is_written_to_the_store_by_asking(server: Server) -> None:
    def listed() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in server.store.rglob("*")
            if path.is_file()
        }

    before = listed()
    for address in ("/runs", "/table", CNN, "/sql", "/questions?q=errors&t=cnn%403", "/run?run=cnn"):
        assert server.ask(address).status == 200
    for text in ("SELECT 1", "COPY (SELECT 1) TO 'x.csv'", "WITH x AS (COPY (SELECT 1) TO 'x.csv') SELECT * FROM x"):
        server.sql(text)
    assert listed() == before


def test_a_question_of_a_run_that_was_replaced_since_it_was_listed_is_answered_of_the_new_one(
    tmp_path: Path,
) -> None:
    record(tmp_path, "cnn", [[{"ids": ["old"], "guess": [0]}]])
    listed = list_runs(tmp_path)
    assert listed["cnn"].tables
    record(tmp_path, "cnn", [[{"ids": ["new"], "guess": [0]}]], overwrite=True)
    asked = Asked("sql", tmp_path, 'SELECT id FROM "cnn@1"', runs=listed)
    assert _answer(asked, "200MB", duck.fresh("200MB")).rows == [("new",)]
