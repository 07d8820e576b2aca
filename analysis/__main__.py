"""`python -m analysis`: the command `secondguess`."""

from analysis.cli import main

if __name__ == "__main__":
    main()
