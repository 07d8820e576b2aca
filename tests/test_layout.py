"""The tests stand where the code stands: a module's test has its name, or this file says which test reaches it."""

from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
# What a module's own name does not lead to: the test that reaches it, by its path without `test_` and `.py`.
REACHED_BY = {
    "analysis/agents/arguments": "analysis/agents/server",
    "analysis/agents/desk": "analysis/agents/server",
    "analysis/agents/example": "analysis/agents/server",
    "analysis/agents/resources": "analysis/agents/server",
    "analysis/agents/tools": "analysis/agents/server",
    "analysis/answers/answer": "analysis/answers/terminal",
    "analysis/answers/classes": "analysis/page/pages/question",
    "analysis/answers/compared": "analysis/page/pages/compare",
    "analysis/evidence/flipped": "analysis/answers/report",
    "analysis/answers/lines": "analysis/answers/charts",
    "analysis/answers/marks": "analysis/answers/charts",
    "analysis/answers/recipes": "analysis/evidence/recipes",
    "analysis/answers/grid": "analysis/answers/terminal",
    "analysis/answers/comparison": "analysis/evidence/ledger",
    "analysis/ask/settings": "analysis/ask/overview",
    "analysis/ask/sample": "analysis/commands/help",
    "analysis/ask/patterns": "analysis/evidence/ledger",
    "analysis/ask/matching": "analysis/ask/joins",
    "analysis/ask/relations": "analysis/connection",
    "analysis/ask/statements": "analysis/engine/statement",
    "analysis/commands/check": "analysis/store/check",
    "analysis/commands/compare": "analysis/evidence/ledger",
    "analysis/evidence/several": "analysis/evidence/ledger",
    "analysis/commands/export": "analysis/exporting/data_set",
    "analysis/commands/gate": "analysis/evidence/gate",
    "analysis/commands/import_": "analysis/importers/importing",
    "analysis/commands/mcp": "analysis/agents/server",
    "analysis/commands/label": "analysis/importers/labels",
    "analysis/commands/note": "analysis/store/remarks",
    "analysis/commands/options": "analysis/cli",
    "analysis/commands/output": "analysis/commands/table",
    "analysis/commands/view": "analysis/page/gate",
    "analysis/engine/duck": "analysis/engine/guard",
    "analysis/engine/spark/calls": "analysis/engine/spark/writer",
    "analysis/engine/spark/casts": "analysis/engine/spark/writer",
    "analysis/engine/spark/lists": "analysis/engine/spark/writer",
    "analysis/engine/spark/quoting": "analysis/engine/spark/translated",
    "analysis/engine/spark/types": "analysis/engine/spark/writer",
    "analysis/engine/engines": "analysis/engine/spark/session",
    "analysis/engine/passages": "analysis/page/pages/faults",
    "analysis/errors": "analysis/cli",
    "analysis/exporting/card": "analysis/exporting/data_set",
    "analysis/exporting/features": "analysis/exporting/data_set",
    "analysis/frames": "analysis/importers/wandb/log/log",
    "analysis/importers/files/shards": "analysis/importers/files/predictions",
    "analysis/importers/adding": "analysis/store/additions",
    "analysis/importers/evaluations/harness_samples": "analysis/importers/evaluations/harness",
    "analysis/importers/evaluations/inspect_log": "analysis/importers/evaluations/inspect_runs",
    "analysis/importers/evaluations/inspect_samples": "analysis/importers/evaluations/inspect_runs",
    "analysis/importers/evaluations/judged": "analysis/importers/evaluations/harness",
    "analysis/importers/axes": "analysis/importers/survey",
    "analysis/importers/hugging_face": "analysis/importers/shapes",
    "analysis/importers/images": "analysis/importers/shapes",
    "analysis/importers/vocabulary": "analysis/importers/survey",
    "analysis/importers/looked": "analysis/importers/survey",
    "analysis/importers/layouts": "analysis/importers/importing",
    "analysis/importers/names": "analysis/importers/importing",
    "analysis/importers/plain": "analysis/importers/evaluations/inspect_runs",
    "analysis/importers/progress": "analysis/importers/importing",
    "analysis/importers/readings": "analysis/importers/survey",
    "analysis/importers/repeats": "analysis/importers/survey",
    "analysis/importers/roles": "analysis/importers/importing",
    "analysis/importers/rows": "analysis/importers/importing",
    "analysis/importers/source": "analysis/importers/importing",
    "analysis/importers/verdicts": "analysis/ask/wrong",
    "analysis/importers/wandb/artifact": "analysis/importers/wandb/offline",
    "analysis/importers/wandb/epochs": "analysis/importers/wandb/offline",
    "analysis/importers/wire": "analysis/importers/wandb/log/log",
    "analysis/importers/wandb/project": "analysis/importers/wandb/server/api",
    "analysis/importers/wandb/server/cache": "analysis/importers/wandb/server/api",
    "analysis/importers/wandb/server/download": "analysis/importers/wandb/server/api",
    "analysis/importers/wandb/staged": "analysis/importers/wandb/offline",
    "analysis/importers/wandb/table/cells": "analysis/importers/wandb/table/table",
    "analysis/importers/wandb/table/columns": "analysis/importers/wandb/table/table",
    "analysis/importers/wandb/table/ndarrays": "analysis/importers/wandb/table/table",
    "analysis/importers/wandb/table/text": "analysis/importers/wandb/table/table",
    "analysis/importers/wandb/table/types": "analysis/importers/wandb/table/table",
    "analysis/importers/wandb/unicode": "analysis/importers/wandb/table/table",
    "analysis/importers/wandb/versions": "analysis/importers/wandb/server/api",
    "analysis/importers/writing": "analysis/importers/importing",
    "analysis/importers/written": "analysis/importers/survey",
    "analysis/language/lists": "analysis/language/translate",
    "analysis/language/operators": "analysis/language/translate",
    "analysis/language/syntax": "analysis/language/translate",
    "analysis/language/values": "analysis/language/translate",
    "analysis/page/app": "analysis/page/gate",
    "analysis/page/pages/check": "analysis/page/json",
    "analysis/page/pages/best": "analysis/tables/best",
    "analysis/page/pages/butterfly": "analysis/page/pages/question",
    "analysis/page/pages/parallel": "analysis/page/pages/runs",
    "analysis/page/pages/confusion": "analysis/page/pages/question",
    "analysis/page/pages/example": "analysis/page/json",
    "analysis/page/pages/export": "analysis/page/json",
    "analysis/page/pages/facts": "analysis/page/json",
    "analysis/page/pages/images": "analysis/page/json",
    "analysis/page/pages/named": "analysis/page/pages/question",
    "analysis/page/pages/panels": "analysis/page/json",
    "analysis/page/pages/run": "analysis/page/json",
    "analysis/commands/completing": "analysis/commands/completion",
    "analysis/commands/texts": "analysis/answers/terminal",
    "analysis/store/removal": "analysis/commands/rm",
    "analysis/page/answers": "analysis/page/pages/sql",
    "analysis/page/pages/sending": "analysis/page/gate",
    "analysis/page/pages/table": "analysis/page/json",
    "analysis/page/server": "analysis/page/gate",
    "analysis/serving/listening": "analysis/page/gate",
    "analysis/page/site": "analysis/page/gate",
    "analysis/page/urls": "analysis/page/json",
    "analysis/caches": "analysis/objects/contents",
    "analysis/store/adoption": "analysis/store/writer",
    "analysis/store/commits": "analysis/store/writer",
    "analysis/store/kept": "analysis/importers/wandb/table/table",
    "analysis/store/labels": "analysis/importers/labels",
    "analysis/store/mending": "analysis/store/check",
    "analysis/objects/client": "analysis/objects/bucket",
    "analysis/store/parquet": "analysis/store/disk",
    "analysis/store/records": "analysis/store/runs",
    "analysis/objects/s3": "analysis/objects/bucket",
    "analysis/store/seal": "analysis/store/runs",
    "analysis/tables/filter": "analysis/tables/view",
    "analysis/tables/rows": "analysis/tables/view",
    "analysis/tables/select": "analysis/tables/view",
    "analysis/tables/spelling": "analysis/commands/table",
    "analysis/tables/usual": "analysis/tables/view",
    "analysis/tracking": "trainer/mirror/mlflow",
    "analysis/tables/wandb": "analysis/tables/view",
    "trainer/callbacks/run": "trainer/callbacks/validation",
    "trainer/mirror/cells": "trainer/mirror/mirror",
    "trainer/callbacks/steps": "trainer/callbacks/lightning",
    "trainer/mirror/child": "trainer/mirror/mirror",
    "trainer/mirror/command": "trainer/mirror/publish",
    "trainer/mirror/delivery": "trainer/mirror/mirror",
    "trainer/mirror/outbox": "trainer/mirror/mirror",
    "trainer/mirror/process": "trainer/mirror/mirror",
    "trainer/mirror/run": "trainer/mirror/mirror",
    "trainer/mirror/table": "trainer/mirror/mirror",
    "analysis/store/session": "trainer/recording/gathering",
    "trainer/recording/content": "trainer/recording/images",
    "trainer/recording/merging": "trainer/recording/gathering",
    "trainer/recording/new_content": "trainer/recording/gathering",
    "trainer/recording/shard": "trainer/recording/gathering",
    "trainer/recording/table": "trainer/recorder",
}


def modules() -> dict[str, Path]:
    """Each module by its path without `.py`; a folder's `__init__` and `__main__` have nothing in them to test."""
    found = sorted(path for folder in ("analysis", "trainer") for path in (ROOT / folder).rglob("*.py"))
    return {str(path.relative_to(ROOT).with_suffix("")): path for path in found if not path.stem.startswith("__")}


def reaching(module: str) -> Path:
    """The file that tests a module."""
    named = Path(REACHED_BY.get(module, module))
    return TESTS / named.parent / f"test_{named.name}.py"


def test_every_module_has_its_test() -> None:
    assert [module for module in modules() if not reaching(module).is_file()] == []


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
