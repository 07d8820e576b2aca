"""`secondguess import`: options in, runs in the store out."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from secondguess.analysis.commands.apart import go_apart
from secondguess.analysis.schema import STORE_OPTION

FORMATS = ("csv", "tsv", "jsonl", "json", "parquet", "arrow", "xlsx")


@click.command(name="import", short_help="Import W&B runs, tables and prediction files.")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--run", metavar="NAME", help="What to call the run.")
@click.option("--table", metavar="KEY", help="Import this table only.")
@click.option("--epoch", type=click.IntRange(min=1), help="The epoch of a table that says none.")
@click.option("--step", type=click.IntRange(min=0), help="The step within --epoch at which it was predicted.")
@click.option("--epoch-key", default="epoch", show_default=True, help="The history key that counts epochs.")
@click.option("--id", "id_", metavar="COLUMN", help="The column with the examples' ids; several with commas: 'a,b'.")
@click.option("--guess", metavar="COLUMN", help="The column with the model's guesses, or 'COLUMN >= NUMBER'.")
@click.option("--truth", metavar="COLUMN", help="The column with the labels.")
@click.option("--image", metavar="COLUMN", help="The column with the images.")
@click.option(
    "--scores",
    metavar="PATTERN",
    help="The scores' columns, in the order of the classes: 'prob_*'; or the one that has them all.",
)
@click.option("--confidence", metavar="COLUMN", help="The column with how sure the model is of its guess.")
@click.option("--no-scores", is_flag=True, help="Take no column for scores.")
@click.option("--softmax", is_flag=True, help="Make probabilities of scores that are logits or their logarithms.")
@click.option("--regression", is_flag=True, help="Take guesses and truths for numbers, none right or wrong.")
@click.option("--epoch-column", metavar="COLUMN", help="Make an epoch of the rows of each number in it.")
@click.option("--step-column", metavar="COLUMN", help="Make a validation within its epoch of the rows of each.")
@click.option("--run-column", metavar="COLUMN", help="Make a run of the rows of each value in it.")
@click.option(
    "--classes",
    metavar="NAMES",
    help="The classes' names: 'cat,dog'; in the order of scores that are called otherwise.",
)
@click.option("--right", metavar="COLUMN", help="The column that says which rows are right: true, 1 or yes.")
@click.option("--labels", metavar="FILE", help="Labels in a file of their own, joined on the ids or on --on.")
@click.option("--on", metavar="COLUMN", help="The column that --labels are joined on [default: id].")
@click.option("--format", type=click.Choice(FORMATS), help="The files' format, where their names do not say it.")
@click.option("--delimiter", metavar="CHARACTER", help="What is between fields: ';', tab, pipe, …")
@click.option("--encoding", metavar="NAME", help="The encoding of text files, such as cp1252.")
@click.option("--header/--no-header", default=None, help="Whether the first line has the columns' names.")
@click.option("--quotes/--no-quotes", default=True, help="Whether quotation marks hold a field together.")
@click.option("--missing", metavar="TEXT", multiple=True, help="A text that stands for no value: NA.  [repeatable]")
@click.option("--replace", is_flag=True, help="Let --labels take the place of labels that SOURCE has.")
@click.option("--dry-run", is_flag=True, help="Say what would be imported; write nothing.")
@click.option("--overwrite", is_flag=True, help="Replace what this source brought before, or the run named by --run.")
@click.option("--store", **STORE_OPTION)
def import_(sources: tuple[str, ...], store: Path, dry_run: bool, epoch_key: str, **given: Any) -> None:
    """Import runs into the store.

    SOURCE is a W&B run folder (offline or online) or a folder full of them, ENTITY/PROJECT[/RUN] on W&B's server, a
    downloaded artifact, a .table.json, samples of lm-evaluation-harness, logs of Inspect, mlruns:/RUN of MLflow's
    store, a folder of TensorBoard's event files or of a Hugging Face data set, a run that was exported, or prediction
    files: .csv, .tsv, .txt, .jsonl, .json, .parquet, .arrow, .feather, .xlsx, packed as .gz, .zst
    or .zip too, a folder or a quoted pattern of them, or - for standard input; several are one table. Columns are
    recognised by the words of their names and by all their values unless named. A run appears whole or not at all.
    """
    go_apart(", ".join(sources))
    gc.set_threshold(100_000)  # cells come by the million, and none is in a cycle that would have to be found
    # A quarter of a second of Arrow, which `--help` need not wait for.
    from secondguess.analysis.importers.unseen_pandas import keep_pandas_unseen

    keep_pandas_unseen()
    import pyarrow as pa

    from secondguess.analysis.importers import importing
    from secondguess.analysis.importers.commands import Typed
    from secondguess.analysis.importers.files.predictions import FileOptions

    pa.enable_signal_handlers(False)  # Arrow would keep signals for itself while it reads
    given["id"] = given.pop("id_")
    told = {name: given.pop(name) for name in ("format", "delimiter", "encoding", "header", "quotes", "missing")}
    files = FileOptions(**told)
    options = importing.how(**given, typed=Typed(sources, tuple(_typed(click.get_current_context()))))
    importing.bring(sources, store.absolute(), options, files, epoch_key, dry_run)


def _typed(context: click.Context) -> Iterator[tuple[str, str | bool]]:
    """The options that were given on the command line."""
    for option in context.command.params:
        name = str(option.name)
        source = context.get_parameter_source(name)
        if not isinstance(option, click.Option) or source is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        if isinstance(value, bool):
            yield (option.opts if value else option.secondary_opts)[0].removeprefix("--"), True
        else:
            values = value if option.multiple else [value]
            yield from ((option.opts[0].removeprefix("--"), str(each)) for each in values)
