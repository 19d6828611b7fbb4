"""Starts the small Python programs that stand apart from the dashboard: supervisors and shells' doors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import wsdash
from wsdash.backend.providers.local.layout import JobFiles
from wsdash.backend.system import environments

_CODE = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from wsdash.backend.providers.local.{module} import main; main(*sys.argv[2:])"
)
_TIMEOUT_S = 30.0


def python_argv(module: str, *arguments: str) -> list[str]:
    """Runs `main` of a module of this package without site packages, which take longer to find than to use."""
    package = Path(wsdash.__file__).parents[1]
    return [sys.executable, "-I", "-S", "-c", _CODE.format(module=module), str(package), *arguments]


def start_supervisor(files: JobFiles, listeners: Path, environ: Mapping[str, str]) -> str:
    """Starts the attempt's supervisor unless it has or had one. Its answer; see `main.py`.

    `environ` is the user's, some of which the fetch of the source needs: it goes through a pipe, so that no job
    can read it in the supervisor's own environment. Blocks until the supervisor answers.
    Raises OSError when it cannot be started or does not answer.
    """
    argv = python_argv("supervisor.main", str(files.folder), str(listeners))
    try:
        done = subprocess.run(
            argv,
            input=environments.packed(environ, with_tokens=False),
            capture_output=True,
            cwd="/",
            env=environments.basic(environ),
            start_new_session=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OSError("the supervisor did not answer") from None
    answer = done.stdout.decode("utf-8", "replace").strip()
    return answer or f"failed: {done.stderr.decode('utf-8', 'replace').strip()[-500:]}"
