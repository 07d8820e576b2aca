"""`python -m analysis`, in the checkout: the command `secondguess`."""

import sys

if __name__ == "__main__":
    sys.modules.pop("analysis", None)  # this folder by its own name: its modules load under `secondguess` alone
    from secondguess.analysis.cli import main

    main()
