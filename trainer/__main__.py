"""`python -m trainer`, in the checkout: `secondguess train`."""

import sys

if __name__ == "__main__":
    sys.modules.pop("trainer", None)  # this folder by its own name: its modules load under `secondguess` alone
    from secondguess.analysis.cli import main

    sys.argv.insert(1, "train")
    main()
