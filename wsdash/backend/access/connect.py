"""The path that `proxy_command.py` had in the previous version: ssh configurations that were written then still name
it.

Kept for one release: a new reconciler rewrites those configurations.
"""

import os
import runpy

if __name__ == "__main__":
    runpy.run_path(os.path.join(os.path.dirname(__file__), "proxy_command.py"), run_name="__main__")  # noqa: PTH118, PTH120
