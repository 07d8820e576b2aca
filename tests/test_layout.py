"""The tests stand where the code stands: a module's test has its name, or this file says which test reaches it."""

from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
# What a module's own name does not lead to. Paths are those below `tests/`, without `test_` and `.py`.
REACHED_BY: dict[str, str] = {}


def modules() -> dict[str, Path]:
    """Each module by its path without `.py`; a folder's `__init__` and `__main__` have nothing in them to test."""
    found = sorted(path for folder in ("analysis", "trainer") for path in (ROOT / folder).rglob("*.py"))
    return {str(path.relative_to(ROOT).with_suffix("")): path for path in found if not path.stem.startswith("__")}


def test_of(module: str) -> Path:
    """The file that tests a module."""
    named = Path(REACHED_BY.get(module, module))
    return TESTS / named.parent / f"test_{named.name}.py"


def test_every_module_has_its_test() -> None:
    assert [module for module in modules() if not test_of(module).is_file()] == []


def test_no_line_here_is_left_over() -> None:
    """A module whose own name leads to its test, or that is gone, needs no line."""
    own = [m for m in REACHED_BY if (TESTS / Path(m).parent / f"test_{Path(m).name}.py").is_file()]
    assert own + [module for module in REACHED_BY if module not in modules()] == []


def test_what_tests_share_has_one_home() -> None:
    """Files that are no tests stand in `support`, but for the benchmarks and what pytest itself looks for."""
    others = [path for path in TESTS.rglob("*.py") if not path.name.startswith("test_")]
    homes = {path.relative_to(TESTS).parts[0] for path in others}
    assert homes == {"support", "benchmarks", "conftest.py"}


def test_no_file_knows_more_than_one_noun() -> None:
    """450 lines at most."""
    long = {module: path.read_text().count("\n") for module, path in modules().items()}
    assert {module: lines for module, lines in long.items() if lines > 450} == {}
