"""What the tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("busy machine", deadline=None)  # others may work on it, too
settings.load_profile("busy machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mnist", metavar="DIR", help="the folder with MNIST's raw files, for the tests that read them")
    parser.addoption("--no-skips", action="store_true", help="fail where a test is skipped: every part must be there")


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--no-skips") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What is remembered of the tests' stores, and their pages' secrets, is kept in folders of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("caches")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("states")))
        yield folder


@pytest.fixture(scope="session")
def mnist_dir(request: pytest.FixtureRequest) -> Path:
    folder = request.config.getoption("--mnist")
    if folder is None:
        pytest.skip("needs MNIST's raw files: pytest --mnist DIR")
    return Path(folder)


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store `predictions` like the one that `make demo` leaves: runs `cnn` and `double` of five epochs."""
    from recording import like_digits  # it loads what most tests need not wait for

    store = tmp_path_factory.mktemp("demo") / "predictions"
    for seed, run in enumerate(("cnn", "double")):
        like_digits(store, run, seed)
    return store


@pytest.fixture(scope="session")
def sweep_store() -> Path:
    """Thirty runs of two hundred epochs; only to be read."""
    from large_stores import large_store

    return large_store("sweep")


@pytest.fixture(scope="session")
def wide_store() -> Path:
    """Runs over a thousand classes with long names, texts, one without truth, one interrupted; only to be read."""
    from large_stores import large_store

    return large_store("wide")
