"""`python -m trainer` is `secondguess train`."""

import importlib
import sys

if __name__ == "__main__":
    # By name: the command line imports every command, and so stands above this package.
    importlib.import_module("analysis.cli").main(["train", *sys.argv[1:]])
