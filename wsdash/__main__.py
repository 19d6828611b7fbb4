"""`python -m wsdash`, and the `wsdash` command."""

from __future__ import annotations

import sys

from wsdash.cli import main

if __name__ == "__main__":
    sys.exit(main())
