"""Starts small Python programs that run independently of the dashboard: supervisors, and `enter.py` for shells."""

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
    """Return the command that runs `main` of a module without site packages, which are slow to find."""
    package = Path(wsdash.__file__).parents[1]
    return [sys.executable, "-I", "-S", "-c", _CODE.format(module=module), str(package), *arguments]


def start_supervisor(files: JobFiles, listeners: Path, environ: Mapping[str, str]) -> str:
    """Start the attempt's supervisor unless it has or had one, and return its answer; see `main.py`.

    `environ` is the user's, some of which the fetch of the source needs. It is sent through a pipe, so that no job
    can read it in the supervisor's own environment. Blocks until the supervisor answers.
    Raises OSError if it cannot be started or does not answer.
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
