"""Who may import whom, room by room: read from the source, and seen in processes."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from stores import record

ROOT = Path(__file__).parents[1]
MODULES = {
    "secondguess." + ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in ("analysis", "trainer")
    for path in sorted((ROOT / folder).rglob("*.py"))
} | {f"secondguess.{path.stem}".removesuffix(".__init__"): path for path in sorted((ROOT / "secondguess").glob("*.py"))}
HEAVY = {"torch", "torchvision", "wandb", "pandas", "pyarrow", "scipy", "altair", "starlette", "sklearn"} | {
    "pyspark",
    "sqlglot",
}

# Each room with the rooms that it may import; a room is a folder, or a module beside the folders. The rooms stand in
# the order of their storeys: what a room imports stands above it in this list, so no arrow leads back.
ARROWS: dict[str, set[str]] = {
    "analysis.errors": set(),
    "analysis.moments": set(),
    "analysis.caches": set(),
    "analysis.objects": {"analysis.caches", "analysis.errors"},
    "analysis.schema": {"analysis.objects", "analysis.moments", "analysis.errors"},
    "analysis.signals": set(),
    "analysis.memory": set(),
    "analysis.content": {"analysis.errors"},
    "analysis.child": {"analysis.errors"},
    "analysis.score_names": {"analysis.errors"},
    "analysis.frames": {"analysis.errors"},
    "analysis.tracking": {"analysis.errors"},
    "analysis.opening": {"analysis.objects", "analysis.errors"},
    "analysis.console": set(),
    "analysis.store": {
        "analysis.caches",
        "analysis.objects",
        "analysis.signals",
        "analysis.opening",
        "analysis.schema",
        "analysis.moments",
        "analysis.errors",
    },
    "analysis.engine": {
        "analysis.objects",
        "analysis.signals",
        "analysis.schema",
        "analysis.moments",
        "analysis.errors",
    },
    "analysis.language": {"analysis.engine", "analysis.errors"},
    "analysis.ask": {
        "analysis.engine",
        "analysis.store",
        "analysis.opening",
        "analysis.schema",
        "analysis.moments",
        "analysis.console",
        "analysis.errors",
    },
    "analysis.tables": {
        "analysis.ask",
        "analysis.language",
        "analysis.engine",
        "analysis.store",
        "analysis.opening",
        "analysis.schema",
        "analysis.moments",
        "analysis.errors",
    },
    "analysis.evidence": {
        "analysis.ask",
        "analysis.engine",
        "analysis.store",
        "analysis.schema",
        "analysis.errors",
    },
    "analysis.answers": {
        "analysis.evidence",
        "analysis.console",
        "analysis.signals",
        "analysis.tables",
        "analysis.engine",
        "analysis.content",
        "analysis.schema",
        "analysis.moments",
        "analysis.errors",
    },
    "analysis.exporting": {
        "analysis.signals",
        "analysis.answers",
        "analysis.tables",
        "analysis.ask",
        "analysis.engine",
        "analysis.store",
        "analysis.schema",
        "analysis.errors",
    },
    "analysis.importers": {
        "analysis.score_names",
        "analysis.tracking",
        "analysis.signals",
        "analysis.store",
        "analysis.frames",
        "analysis.child",
        "analysis.opening",
        "analysis.content",
        "analysis.schema",
        "analysis.moments",
        "analysis.console",
        "analysis.errors",
    },
    "analysis.notebook": {
        "analysis.evidence",
        "analysis.signals",
        "analysis.answers",
        "analysis.tables",
        "analysis.engine",
        "analysis.errors",
    },
    "analysis.connection": {
        "analysis.objects",
        "analysis.evidence",
        "analysis.signals",
        "analysis.importers",
        "analysis.notebook",
        "analysis.answers",
        "analysis.tables",
        "analysis.ask",
        "analysis.engine",
        "analysis.store",
        "analysis.schema",
        "analysis.errors",
    },
    "analysis.serving": {
        "analysis.objects",
        "analysis.memory",
        "analysis.evidence",
        "analysis.content",
        "analysis.signals",
        "analysis.answers",
        "analysis.tables",
        "analysis.ask",
        "analysis.engine",
        "analysis.store",
        "analysis.schema",
        "analysis.errors",
    },
    "analysis.page": {
        "analysis.serving",
        "analysis.evidence",
        "analysis.signals",
        "analysis.answers",
        "analysis.tables",
        "analysis.ask",
        "analysis.engine",
        "analysis.store",
        "analysis.schema",
        "analysis.moments",
        "analysis.errors",
    },
    "analysis.agents": {
        "analysis.serving",
        "analysis.content",
        "analysis.console",
        "analysis.answers",
        "analysis.tables",
        "analysis.ask",
        "analysis.engine",
        "analysis.schema",
        "analysis.errors",
    },
    "analysis.commands": {
        "analysis.agents",
        "analysis.objects",
        "analysis.memory",
        "analysis.moments",
        "analysis.opening",
        "analysis.evidence",
        "analysis.signals",
        "analysis.page",
        "analysis.serving",
        "analysis.importers",
        "analysis.exporting",
        "analysis.answers",
        "analysis.tables",
        "analysis.ask",
        "analysis.engine",
        "analysis.store",
        "analysis.schema",
        "analysis.console",
        "analysis.errors",
    },
    "trainer.recording": {
        "analysis.score_names",
        "analysis.store",
        "analysis.opening",
        "analysis.content",
        "analysis.schema",
        "analysis.moments",
        "analysis.errors",
    },
    "trainer.mirror": {
        "analysis.tracking",
        "analysis.objects",
        "analysis.signals",
        "analysis.store",
        "analysis.frames",
        "analysis.child",
        "analysis.schema",
        "analysis.moments",
        "analysis.console",
        "analysis.errors",
    },
    "trainer.recorder": {
        "analysis.objects",
        "analysis.signals",
        "trainer.mirror",
        "trainer.recording",
        "analysis.store",
        "analysis.schema",
        "analysis.moments",
        "analysis.errors",
    },
    "trainer.record": {"trainer.recorder", "trainer.recording", "analysis.schema", "analysis.errors"},
    "trainer.callbacks": {
        "trainer.recorder",
        "trainer.recording",
        "analysis.objects",
        "analysis.schema",
        "analysis.moments",
        "analysis.errors",
    },
    "trainer.reference": {
        "trainer.recorder",
        "trainer.recording",
        "trainer.mirror",
        "analysis.schema",
        "analysis.console",
        "analysis.errors",
    },
    "trainer.command": {"trainer.reference", "analysis.schema", "analysis.errors"},
    # The command line names every command, the trainer's too, and loads each on use.
    "analysis.cli": {
        "analysis.signals",
        "trainer.command",
        "trainer.mirror",
        "analysis.commands",
        "analysis.ask",
        "analysis.engine",
        "analysis.console",
        "analysis.errors",
    },
    "analysis.__main__": {"analysis.cli"},
    "trainer.__main__": {"analysis.cli"},
    "__main__": {"analysis.cli", "analysis.signals"},
    # The one import name: a lazy door to each face.
    "callbacks": {"trainer.callbacks"},
    "secondguess": {"callbacks", "analysis.connection", "trainer.record", "trainer.recorder", "analysis.errors"},
}


@cache
def imported(path: Path) -> tuple[str, ...]:
    """All that a module imports, anywhere in it: the lazy and the conditional too."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            base = node.module or ""
            for alias in node.names:
                yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base


def room_of(module: str) -> str:
    """`analysis.store` of secondguess.analysis.store.disk; a package's own __init__ belongs to the package."""
    parts = module.split(".")[1:]
    return ".".join(parts[:2]) if parts else "secondguess"


def arrows() -> list[tuple[str, str]]:
    """Each (module, module it imports) inside the package."""
    return [(name, what) for name, path in MODULES.items() for what in imported(path) if what in MODULES]


def test_the_modules_are_found() -> None:
    assert {"secondguess", "secondguess.analysis.cli", "secondguess.analysis.store.disk"} <= MODULES.keys()
    assert ("secondguess.trainer.recorder", "secondguess.analysis.store.writer") in arrows()
    assert ("secondguess.analysis.ask.statements", "secondguess.analysis.ask.scope") in arrows()


def test_every_module_stands_in_a_room() -> None:
    assert {room_of(name) for name in MODULES} - {"analysis", "trainer"} == set(ARROWS)


def test_a_room_imports_only_what_its_line_says() -> None:
    wrong = {
        f"{name} imports {what}"
        for name, what in arrows()
        if room_of(what) not in {room_of(name), "secondguess"} | ARROWS.get(room_of(name), set())
    }
    assert sorted(wrong) == []


def test_a_room_imports_all_that_its_line_says() -> None:
    """An arrow that nothing uses any more is taken out of the table."""
    there = {(room_of(name), room_of(what)) for name, what in arrows()}
    assert (
        sorted(
            f"{room} -> {other}" for room, others in ARROWS.items() for other in others if (room, other) not in there
        )
        == []
    )


def test_no_arrow_leads_up() -> None:
    storey = {room: number for number, room in enumerate(ARROWS)}
    assert [(room, other) for room, others in ARROWS.items() for other in others if storey[other] >= storey[room]] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Lazy imports counted."""
    graph: dict[str, set[str]] = {name: set() for name in MODULES}
    for name, what in arrows():
        graph[name] |= {what} - {name}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_room_loads_only_the_rooms_below_it() -> None:
    """The same in processes: each room's modules are imported in a fork of one that has imported nothing of ours."""
    rooms: dict[str, list[str]] = {}
    for name in MODULES:
        if not name.endswith("__main__"):
            rooms.setdefault(room_of(name), []).append(name)
    code = """
import importlib, json, os, sys
for room, modules in json.loads(sys.argv[1]).items():
    sys.stdout.flush()
    if os.fork() == 0:
        missing = []
        for module in modules:
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                if error.name.startswith("secondguess"):
                    raise
                missing.append(error.name)
        print(json.dumps([room, sorted(name for name in sys.modules if name.split(".")[0] == "secondguess"), missing]))
        sys.stdout.flush()
        os._exit(0)
    _, status = os.wait()
    assert status == 0, room
"""
    done = subprocess.run([sys.executable, "-c", code, json.dumps(rooms)], capture_output=True, text=True, check=True)
    seen = {room: names for room, names, _ in map(json.loads, done.stdout.splitlines())}
    assert seen.keys() == rooms.keys()
    above = {
        f"{room} loads {name}"
        for room, names in seen.items()
        for name in names
        if name.count(".") > 1 and room_of(name) not in {room} | _below(room)
    }
    assert sorted(above) == []


def _below(room: str) -> set[str]:
    found: set[str] = set()
    waiting = list(ARROWS.get(room, ()))
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += ARROWS[other]
    return found


def test_analysis_imports_neither_torch_nor_outside_its_own_process_wandb() -> None:
    banned = {"torch", "torchvision", "wandb"}
    found = {
        name
        for name, path in MODULES.items()
        if name.startswith("secondguess.analysis") and {what.split(".")[0] for what in imported(path)} & banned
    }
    assert found <= {"secondguess.analysis.importers.wandb.server.api"}


def test_the_schema_and_the_errors_are_plain_values() -> None:
    """Names and types are read by whoever starts, so they cost nothing to import."""
    for name in ("secondguess.analysis.schema", "secondguess.analysis.errors"):
        own = {what.split(".")[0] for what in imported(MODULES[name])} - set(sys.stdlib_module_names)
        assert own <= {"secondguess"}


def test_torch_is_imported_where_networks_are_trained_and_by_no_recorder() -> None:
    with_torch = {
        room_of(name)
        for name, path in MODULES.items()
        if {what.split(".")[0] for what in imported(path)} & {"torch", "torchvision"}
    }
    assert with_torch == {"trainer.reference"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one run of one epoch with one error, recorded elsewhere: this process loaded everything."""
    store = tmp_path_factory.mktemp("imports") / "predictions"
    record(store, "cnn", [[{"ids": ["a", "b"], "truth": [0, 1], "scores": [[0.9, 0.1], [0.8, 0.2]]}]])
    return store


def loaded(code: str, *arguments: str) -> tuple[str, set[str]]:
    """What a new process says on stdout, and which of the heavy packages it loaded."""
    tail = f"\nprint(*({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}{tail}", *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout, set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("module", ["analysis", "analysis.cli", "analysis.connection", "analysis.schema"])
def test_importing_what_asks_loads_nothing_heavy(module: str) -> None:
    assert loaded(f"import {module}") == ("", set())


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["--help"], "Second-guess your model"),
        (["runs"], "finished"),
        (["ask"], "errors-by-guess"),
        (["ask", "errors", "cnn@1"], "0.8"),
        (["ask", "errors", "cnn@1", "--format", "csv"], "cnn,1,b,0,1"),
        (["sql", "SELECT count(*) AS n FROM test_predictions", "--format", "json"], '"n"'),
    ],
)
def test_a_command_that_asks_loads_nothing_heavy(store: Path, command: list[str], expected: str) -> None:
    where = ["--store", str(store)] if command[0] in {"runs", "sql"} or len(command) > 1 else []
    code = """
from secondguess.analysis.cli import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
"""
    said, heavy = loaded(code, *command, *where)
    assert expected in said
    assert heavy == set()


def test_importing_the_recorder_loads_no_torch_and_no_wandb() -> None:
    _, heavy = loaded("import trainer.recorder")
    assert heavy <= {"pyarrow", "pandas"}


def test_a_module_names_what_it_is() -> None:
    named = {name: ast.get_docstring(ast.parse(path.read_text())) for name, path in MODULES.items()}
    assert [name for name, said in named.items() if not said and not name.endswith("__main__")] == []
