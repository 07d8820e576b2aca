"""Two recipes of several runs for people and for programs: text, Markdown, HTML, JSON, CSV."""

from secondguess.analysis.answers.comparison import as_csv, as_json, percent, said_in_html, said_in_markdown
from secondguess.analysis.console import spelled_out
from secondguess.analysis.errors import counted, listing
from secondguess.analysis.evidence.recipes import Recipes


def lines(made: Recipes) -> list[str]:
    """What there is to say, the verdict first."""
    found = made.estimate
    low, high = found.interval
    digits = 2 if high - low < 0.01 else 1
    t = f"t with {found.degrees:.1f} degrees of freedom" if made.seeded else "without the seed"
    said = [
        made.in_words,
        f"accuracy on {made.n:,} examples, mean of the runs: {percent(found.accuracy_a)} of {_runs(made.runs_a)}, "
        f"{percent(found.accuracy_b)} of {_runs(made.runs_b)}",
        f"difference: {100 * found.difference:+.{digits}f} points ({100 * made.level:g} %: {100 * low:+.{digits}f} to "
        f"{100 * high:+.{digits}f}; {t})",
    ]
    if found.superior is not None:
        least, most = found.superior_interval
        said.append(
            f"on these examples a fresh run of the second is more accurate than one of the first with a chance of "
            f"{100 * found.superior:.0f} % ({100 * least:.0f} to {100 * most:.0f})"
        )
    if found.seed_share is not None and made.seeded:
        said.append(f"of the variance of the difference {100 * found.seed_share:.0f} % is the seed's")
    if out := [f"{count:,} {reason}" for reason, count in made.excluded.items() if count]:
        said.append(f"left out: {', '.join(out)}")
    return [spelled_out(line) for line in said]


def _runs(names: tuple[str, ...]) -> str:
    return f"{listing(names, 3)} ({counted(len(names), 'run')})"


def to_markdown(made: Recipes) -> str:
    """What goes into a pull request."""
    return "\n\n".join(said_in_markdown(lines(made))) + "\n"


def to_html(made: Recipes) -> str:
    """A fragment for a notebook."""
    return "\n".join(said_in_html(lines(made)))


def to_json(made: Recipes) -> str:
    """The comparison as one object."""
    return as_json(made.as_dict())


def to_csv(made: Recipes) -> str:
    """One row: what in its JSON is a number or a text; the interval as low and high."""
    values = made.as_dict()
    plain = {name: value for name, value in values.items() if not isinstance(value, list | dict)}
    low, high = made.estimate.interval
    return as_csv([{**plain, "low": low, "high": high}])
