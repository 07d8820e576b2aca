"""`secondguess`, and `python -m secondguess`, is the command; Ctrl-C and SIGTERM are heard before it is loaded."""

import sys

from secondguess import ELSEWHERE, RUNS_HERE
from secondguess.analysis import signals


def main() -> None:
    """Run the command of the process's arguments."""
    if not RUNS_HERE:
        sys.exit(f"secondguess: {ELSEWHERE}")
    signals.listen()
    from secondguess.analysis.cli import main as command

    command()


if __name__ == "__main__":
    main()
