"""Who may import whom, read from the source and seen in processes."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from stores import record

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("analysis", "trainer")
    for path in sorted((ROOT / package).rglob("*.py"))
}
HEAVY = {"torch", "torchvision", "wandb", "pandas", "pyarrow", "scipy", "altair", "starlette", "sklearn"}


def imported(path: Path) -> Iterator[str]:
    """All that a module imports, anywhere in it: the lazy and the conditional too, and names given to import_module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            base = node.module or ""
            for alias in node.names:
                yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base
        elif isinstance(node, ast.Call) and node.args and ast.unparse(node.func).endswith("import_module"):
            name = node.args[0]
            if isinstance(name, ast.Constant):
                yield str(name.value)


def arrows(inside: str) -> list[tuple[str, str]]:
    """Each (module, import) of a package."""
    return [(name, found) for name, path in MODULES.items() if name.split(".")[0] == inside for found in imported(path)]


def test_the_modules_are_found() -> None:
    assert {"analysis", "analysis.cli", "analysis.store.files", "trainer.recorder"} <= MODULES.keys()
    assert ("trainer.table", "analysis.store.writer") in arrows("trainer")
    assert ("analysis.cli", "analysis.asking") in arrows("analysis")


def test_analysis_imports_neither_the_trainer_nor_torch_nor_wandb() -> None:
    banned = {"trainer", "torch", "torchvision", "wandb"}
    found = [(name, what) for name, what in arrows("analysis") if what.split(".")[0] in banned]
    assert [pair for pair in found if pair[0] != "analysis.importers.wandb_api"] == []


def test_the_trainer_imports_the_schema_the_store_and_the_errors_and_nothing_else_of_analysis() -> None:
    """`python -m trainer` is the command line with one word put before, and stands above both."""
    allowed = {"analysis.schema", "analysis.errors", "analysis.store"}
    inside = [arrow for arrow in arrows("trainer") if arrow[0] != "trainer.__main__"]
    found = [(name, what) for name, what in inside if what.split(".")[0] == "analysis"]
    assert [pair for pair in found if pair[1] not in allowed and not pair[1].startswith("analysis.store.")] == []


def test_the_store_is_below_everything_else() -> None:
    allowed = {"analysis.schema", "analysis.errors", "analysis.store"}
    found = [pair for pair in arrows("analysis") if pair[0].startswith("analysis.store")]
    own = [pair for pair in found if pair[1].split(".")[0] in {"analysis", "duckdb", "click", "rich"}]
    assert [pair for pair in own if pair[1] not in allowed and not pair[1].startswith("analysis.store.")] == []


def test_the_schema_and_the_errors_are_plain_values() -> None:
    """Names and types are read by whoever starts, so they cost nothing to import."""
    for name in ("analysis.schema", "analysis.errors"):
        own = {what.split(".")[0] for what in imported(MODULES[name])} - set(sys.stdlib_module_names)
        assert own <= {"analysis"}


def test_torch_is_imported_where_networks_are_trained_and_by_no_recorder() -> None:
    with_torch = {name for name, what in arrows("trainer") if what.split(".")[0] in {"torch", "torchvision"}}
    assert with_torch <= {"trainer.datasets", "trainer.model", "trainer.train", "trainer.training"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Lazy imports counted; a package's own __init__ names its modules as text."""
    graph = {
        name: {what for what in imported(path) if what in MODULES and what != name} for name, path in MODULES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


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
from analysis.cli import main
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
