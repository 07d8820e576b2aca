"""A foreign file that crashes its reader, or takes all memory, ends a copy of the command and not the command."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from waiting import HANG_S, until

ROOT = Path(__file__).parents[3]


def python(code: str) -> subprocess.CompletedProcess[str]:
    """A fresh process that runs the code with `go_apart` at hand."""
    start = "import os, signal, sys, threading, time\nfrom secondguess.analysis.commands.apart import go_apart\n"
    command = [sys.executable, "-c", start + code]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=HANG_S)


@pytest.mark.parametrize(
    "text",
    ['{"id": "a", "guess": ' + "[" * 10_000 + "]" * 10_000 + "}\n", '{"a":' * 50_000 + "1" + "}" * 50_000],
    ids=["brackets", "braces"],
)
def test_json_that_crashes_its_reader_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path, store = tmp_path / "t.jsonl", tmp_path / "s"
    path.write_text(text)
    command = [sys.executable, "-m", "secondguess", "import", str(path), "--store", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert done.stderr.startswith(f"secondguess: {path} ")
    assert not store.exists() or list(store.iterdir()) == []


def test_a_file_of_an_unknown_compression_is_refused_in_one_line(tmp_path: Path) -> None:
    """Arrow ends the whole process when it meets one: here at each place of the footer where its number could stand."""
    path = tmp_path / "codec.parquet"
    pq.write_table(pa.table({"id": ["a"], "guess": [1]}), path, compression="snappy")
    whole = path.read_bytes()
    start = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    places = [place for place in range(start, len(whole) - 8) if whole[place : place + 2] == b"\x15\x02"]
    refused = []
    for place in places:
        path.write_bytes(whole[: place + 1] + b"\x1e" + whole[place + 2 :])
        command = [
            sys.executable,
            "-m",
            "secondguess",
            "import",
            str(path),
            "--dry-run",
            "--store",
            str(tmp_path / "s"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
        assert (done.returncode in (0, 1), "Traceback" in done.stderr) == (True, False), done.stderr
        refused += [done.stderr.splitlines()[-1]] if done.returncode else []
    assert [line for line in refused if line.startswith(f"secondguess: {path} c")] == refused != []


def test_the_process_exits_as_its_copy_does_and_says_nothing_twice() -> None:
    done = python("print('before')\ngo_apart('x')\nprint('after', os.getppid() > 0)\nsys.exit(7)")
    assert (done.returncode, done.stdout, done.stderr) == (7, "before\nafter True\n", "")


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_crash_is_said_with_its_signal(name: str) -> None:
    code = f"""
try:
    go_apart('FILE')
except Exception as error:
    print(type(error).__name__, error)
else:
    os.kill(os.getpid(), signal.{name})
"""
    done = python(code)
    assert done.returncode == 0
    assert done.stdout == f"Damaged FILE crashed its reader ({name}): it is damaged, or made to do that; " + (
        "its run was not imported\n"
    )


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux says how much memory a process has")
def test_a_reader_that_takes_more_memory_than_it_may_is_ended() -> None:
    code = """
try:
    go_apart('FILE', 300 << 20)
except Exception as error:
    print(error)
else:
    kept = []
    while True:
        kept.append(b'x' * (1 << 20))
        time.sleep(0.001)
"""
    done = python(code)
    assert done.returncode == 0
    assert done.stdout.startswith("FILE takes more than 0.29 GB of memory to read")


def test_a_process_with_threads_goes_on_itself() -> None:
    code = """
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
before = os.getpid()
go_apart('FILE')
print(os.getpid() == before)
"""
    assert python(code).stdout == "True\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_the_copy_ends_with_the_process_that_waits_for_it(tmp_path: Path) -> None:
    code = f"""
import os, time
from secondguess.analysis.commands.apart import go_apart
go_apart('FILE')
open({str(tmp_path / "copy")!r}, 'w').write(str(os.getpid()))
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as waiting:
        until(lambda: (tmp_path / "copy").exists() and (tmp_path / "copy").read_text() != "")
        copy = int((tmp_path / "copy").read_text())
        assert copy != waiting.pid
        os.kill(waiting.pid, signal.SIGKILL)
        waiting.wait(HANG_S)
    until(lambda: not Path(f"/proc/{copy}").exists() or "Z" in Path(f"/proc/{copy}/stat").read_text().split()[2])
