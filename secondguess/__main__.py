"""`python -m secondguess` is the command."""

from secondguess.analysis.cli import main

if __name__ == "__main__":
    main()
