"""`secondguess demo`: a first look, at predictions that come with the package or at ones that are trained now."""

import shlex
from importlib.resources import as_file, files
from pathlib import Path

import click

from secondguess.analysis.console import say
from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.schema import DEFAULT_TABLE, STORE_OPTION
from secondguess.analysis.store.runs import list_runs

# The two models of W&B's tutorial "Visualize predictions with tables", as options of `secondguess train`: its network,
# and a variant with both layers twice as wide and twice the learning rate.
MODELS = {"cnn": (), "double": ("--l1-size", "64", "--l2-size", "128", "--lr", "0.002")}
_STORE = "secondguess-demo"
_FIRST_ASKED = (
    "ask errors-over-time cnn double",
    "ask errors-by-guess cnn@5 double@5",
    "compare cnn@1 cnn@5",
)


@click.command(short_help="Take a first look, at two models that come with the package.")
@click.option(
    "--store", **{**STORE_OPTION, "default": _STORE, "help": f"Where to put the demo's runs [default: {_STORE}]."}
)
@click.option("--train", "trains", is_flag=True, help="Train the two models now, in a minute or two; needs PyTorch.")
@click.option("--no-page", is_flag=True, help="Make the store and leave it at that.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser; the page's address is printed.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[-- TRAIN OPTIONS]")
@click.pass_context
def demo(
    ctx: click.Context, store: Path, trains: bool, no_page: bool, no_browser: bool, options: tuple[str, ...]
) -> None:
    """Look around with two models that are there already: their predictions for 899 digits after each of 5 epochs.

    They were made by `secondguess demo --train` from scikit-learn's digits, and come with the package. What stands
    behind -- goes to `secondguess train`, as in: demo --train -- --dataset mnist --epochs 3.
    """
    if options and not trains:
        raise BadInput(f"{options[0]!r} is an option of training; add --train")
    if store.exists() and not store.is_dir():
        raise BadInput(f"{store} is a file, not a folder; name another place: --store PATH")
    if trains:
        _train(ctx, store, options)
    else:
        _unpack(store)
    if no_page:
        return
    for line in _FIRST_ASKED:
        say(f"  secondguess {line} --store {shlex.quote(str(store))}", err=True)
    _sibling(ctx, "view").main(
        ["--store", str(store), *(["--no-browser"] if no_browser else [])],
        prog_name="secondguess view",
        standalone_mode=False,
    )


def _unpack(store: Path) -> None:
    """Put the runs that come with the package into a store, those that are not there yet."""
    there = list_runs(store) if store.exists() else {}
    if others := [name for name in there if name not in MODELS]:
        raise BadInput(f"{store} has runs of its own ({listing(others, 3)}); name another place: --store PATH")
    from secondguess.analysis.store import archive

    bundled = files("secondguess.analysis") / "demo"
    for name in (name for name in MODELS if name not in there):
        with as_file(bundled / f"{name}.zip") as file:
            archive.bring(file, store)
    counts = {name: len(run.tables.get(DEFAULT_TABLE, ())) for name, run in list_runs(store).items()}
    if broken := [name for name, count in counts.items() if not count]:
        remove = shlex.join(("secondguess", "rm", broken[0], "--store", str(store)))
        raise BadInput(
            f"the run {broken[0]} in {store} is not whole; `{remove}` removes it, "
            "and `secondguess demo` brings it anew; or name another place: --store PATH"
        )
    told = ", ".join(f"{name} ({count} epochs)" for name, count in counts.items())
    say(f"{store} has {told}; ask it:", err=True)


def _train(ctx: click.Context, store: Path, options: tuple[str, ...]) -> None:
    there = [name for name in (list_runs(store) if store.exists() else {}) if name in MODELS]
    if there and not {"--overwrite", "--resume"} & {*options}:
        again = shlex.join(("secondguess", "demo", "--train", "--store", str(store), "--", *options, "--overwrite"))
        raise BadInput(f"{store} has {listing(there)} already; name another place: --store PATH; or anew: {again}")
    for name, own in MODELS.items():
        words = ["--run", name, *own, *options, "--store", str(store)]
        say(f"secondguess train {shlex.join(words)}", err=True)
        _sibling(ctx, "train").main(words, prog_name="secondguess train", standalone_mode=False)


def _sibling(ctx: click.Context, name: str) -> click.Command:
    """Another of the commands."""
    above = ctx.parent
    assert above is not None
    assert isinstance(above.command, click.Group)
    command = above.command.get_command(above, name)
    assert command is not None
    return command
