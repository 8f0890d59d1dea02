"""`python -m muster` is `muster`."""

import sys

from muster.infrastructure.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
