"""The path of `proxy_command.py` in the version before, which ssh configurations that it has written still name.

For one release: a new reconciler rewrites those configurations.
"""

import os
import runpy

if __name__ == "__main__":
    runpy.run_path(os.path.join(os.path.dirname(__file__), "proxy_command.py"), run_name="__main__")  # noqa: PTH118, PTH120
