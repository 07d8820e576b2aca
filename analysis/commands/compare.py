"""`secondguess compare`: whether a difference between tables is real."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from secondguess.analysis.answers import files
from secondguess.analysis.commands import output
from secondguess.analysis.commands.options import SECONDS, STORE, engines
from secondguess.analysis.console import readable, say
from secondguess.analysis.engine.engines import opened
from secondguess.analysis.errors import BadInput, MissingExtra
from secondguess.analysis.schema import LEVEL
from secondguess.analysis.store.verified import every_file

if TYPE_CHECKING:
    from secondguess.analysis.evidence.flipped import Flipped
    from secondguess.analysis.evidence.ledger import Comparison, Run
    from secondguess.analysis.evidence.recipes import Recipes

_EXAMPLES = 10  # in Markdown
_WIDTH = 120  # of a text that goes to no terminal


@click.command()
@click.argument("tables", nargs=-1, required=True, metavar="TABLE TABLE...")
@click.option(
    "--with",
    "against",
    multiple=True,
    metavar="TABLES",
    help="Other runs, as 'double-*@5': whether the one recipe errs less than the other, whatever the seed.",
)
@click.option("--floor", metavar="RUNS", help="Runs that differ by seed only, as 'cnn-*@5': how much they differ.")
@click.option("--by", metavar="COLUMN", help="What became of the examples by this column.")
@click.option(
    "--level", type=float, default=LEVEL, metavar="SHARE", help=f"Of intervals and verdicts [default: {LEVEL}]."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "markdown", "csv"]),
    help="How to write the answer [default: table, or what FILE's suffix says].",
)
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the answer to FILE (.json, .md or .csv).",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write a report of two tables, one file with its images and charts inside.",
)
@SECONDS
@click.option("--verify", is_flag=True, help="See that files of 64 MB and more, too, are as they were written.")
@click.option("--show-sql", is_flag=True, help="Print the SQL of the counts on stderr; it runs in any DuckDB session.")
@STORE
@engines
def compare(
    tables: tuple[str, ...], against: tuple[str, ...], store: Path, form: str | None, file: Path | None, **how: Any
) -> None:
    """Say which of two tables errs less on the examples that both have, if that can be told, and what changed.

    TABLE is RUN[/TABLE][@EPOCH], as in cnn@5; 'cnn-*@5' is each run whose name it fits. Of several tables each pair is
    compared, corrected by Holm. A table is said to err less where McNemar's mid-p and Tango's interval both say so;
    mid-p sees a difference that is not there in 5 of 100 comparisons, of 16 discordant examples in 7.7.

    With --with, TABLES are runs of one recipe that differ by seed, compared with those of another: the interval has the
    chance of the examples and of the seeds in it.
    """
    from secondguess.analysis.answers import comparison as answers
    from secondguess.analysis.answers import recipes as of_recipes

    if file is not None:
        form = files.format_of(file, form)
        if form == "parquet":
            raise BadInput("a comparison is no table of rows; write it to a .json, .md or .csv file")
    for written in filter(None, (file, how["html"])):
        if written.resolve().is_relative_to(store.resolve()):
            raise BadInput(f"{written} lies in the store, which only recording writes to; name a file outside {store}")
    if file is not None and how["html"] is not None and file.resolve() == how["html"].resolve():
        raise BadInput(f"{file} would be written twice; give the answer and the report a file each")
    engine = opened(how["engine"], how["master"])
    limit = output.watching(how["seconds"], hint="give it more with --seconds")
    with every_file(how["verify"]), limit as watch:
        run = output.running(watch, engine)
        made = _made(run, store.absolute(), tables, against, how)
        some = _some(run, store.absolute(), made) if form == "markdown" else {}
        if how["html"] is not None:
            _report(run, store.absolute(), made, how["html"])
    _tell(made if isinstance(made, list) else [made], store, how["show_sql"])
    if file is not None:
        with files.replaced(file) as part:
            part.write_text(_written(made, form or "json", some), encoding="utf-8", newline="")
        say(f"wrote {file}", err=True)
    elif form not in (None, "table"):
        readable(sys.stdout).write(_written(made, form or "json", some))
    elif isinstance(made, list):
        answers.to_text(made, readable(sys.stdout), shutil.get_terminal_size((_WIDTH, 24)).columns)
    else:
        print(*of_recipes.lines(made), sep="\n", file=readable(sys.stdout))


def _made(
    run: "Run", store: Path, tables: tuple[str, ...], against: tuple[str, ...], how: dict[str, Any]
) -> "list[Comparison] | Recipes":
    """Tables compared in pairs, or two recipes; of recipes of one run each these two tables."""
    from secondguess.analysis.evidence import several
    from secondguess.analysis.evidence.ledger import Comparison

    if not against:
        floor = [] if how["floor"] is None else [how["floor"]]
        return several.compared(run, store, tables, by=how["by"], level=how["level"], floor=floor)
    if unused := [f"--{name}" for name in ("by", "floor") if how[name] is not None]:
        raise BadInput(f"{unused[0]} goes with two tables, not with --with, which compares sets of runs; leave one out")
    made = several.of_recipes(run, store, tables, against, level=how["level"])
    return [made] if isinstance(made, Comparison) else made


def _report(run: "Run", store: Path, made: "list[Comparison] | Recipes", file: Path) -> None:
    """Write the report of two tables; raises BadInput for more, or for recipes."""
    from secondguess.analysis.evidence.flipped import flipped
    from secondguess.analysis.store.runs import list_runs

    if not isinstance(made, list) or len(made) != 1:
        raise BadInput("a report is of two tables; name two, or leave out --html")
    try:
        from secondguess.analysis.answers import compared, report
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name}, which reports need,", "view") from None
    (one,), runs = made, list_runs(store)
    shown = {how: flipped(run, store, one, how, compared.IMAGES, runs) for how in ("broken", "fixed")}
    with files.replaced(file) as part:
        part.write_text(report.html(one, shown), encoding="utf-8", newline="")
    say(f"wrote {file}", err=True)


def _tell(made: "Sequence[Comparison | Recipes]", store: Path, show_sql: bool) -> None:
    for one in made:
        if show_sql:
            output.show_sql(one.sql, [store])
    for note in dict.fromkeys(note for one in made for note in one.notes):
        say(("-- " if show_sql else "") + " ".join(note.splitlines()), err=True)


def _some(run: "Run", store: Path, made: "list[Comparison] | Recipes") -> dict[str, "list[Flipped]"]:
    """Of two tables some examples that changed."""
    from secondguess.analysis.evidence.flipped import flipped
    from secondguess.analysis.store.runs import list_runs

    if not isinstance(made, list) or len(made) != 1:
        return {}
    (one,), runs = made, list_runs(store)
    return {how: flipped(run, store, one, how, _EXAMPLES // 2, runs, images=False) for how in ("broken", "fixed")}


def _written(made: "list[Comparison] | Recipes", form: str, some: Mapping[str, "list[Flipped]"]) -> str:
    from secondguess.analysis.answers import comparison as answers
    from secondguess.analysis.answers import recipes as of_recipes

    if isinstance(made, list):
        if form == "markdown":
            return answers.to_markdown(made, some)
        return answers.to_csv(made) if form == "csv" else answers.to_json(made)
    return {"markdown": of_recipes.to_markdown, "csv": of_recipes.to_csv, "json": of_recipes.to_json}[form](made)
