"""Selects the variables that wsdash's own processes get: any process of the user can read an environment in
/proc.

A long-lived process gets only what a program needs to run. Variables that Git, container engines and keyrings
need in addition, and access tokens, reach a daemon or a supervisor through a pipe and stay in its memory.
Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping

GITLAB_TOKENS = ("WSDASH_GITLAB_TOKEN", "GITLAB_TOKEN", "GITLAB_ACCESS_TOKEN", "GITLAB_PRIVATE_TOKEN")
"""Variables for access tokens (`gitlab/api/tokens.py`)."""
GIVEN = "WSDASH_ENVIRONMENT"
"""Its value `stdin` announces to a process that further variables follow on its standard input."""

_BASIC = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|TZ|TMPDIR|LD_LIBRARY_PATH|GITLAB_(HOST|URI|URL)|GL_HOST|GLAB_CONFIG_DIR"
    r"|(LC|XDG|PYTHON|WSDASH)_?\w*",
    re.ASCII,
)
_FOR_GIT = re.compile(
    r"(https?|no|all|HTTPS?|NO|ALL)_(proxy|PROXY)|\w*SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|DISPLAY|XAUTHORITY"
    r"|WAYLAND_DISPLAY|REGISTRY_AUTH_FILE|GIT_\w*|(SSH|GCM|GPG|GNUPG|DOCKER|CONTAINERS?|PODMAN|KRB5|DBUS)\w*",
    re.ASCII,
)
# Variables of Git Credential Manager are allowed: they only name a store, as GCM_CREDENTIAL_STORE does.
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|WSDASH_GIT_")

received: dict[str, str] = {}
"""Access tokens that this process received through a pipe."""


def is_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret, judged by the name."""
    return _SECRET.search(name) is not None


def basic(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that any of wsdash's processes needs to run and to find the same files: no secrets."""
    return {k: v for k, v in environ.items() if _BASIC.fullmatch(k) and not _SECRET.search(k) and k != GIVEN}


def for_git(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which Git, ssh, container engines and keyrings work as they do for the user.

    It excludes tokens, keys and passwords of any program, judged by the name.
    """
    settings = {k: v for k, v in environ.items() if _FOR_GIT.fullmatch(k)}
    return basic(environ) | {k: v for k, v in settings.items() if k.startswith("GCM_") or not is_secret(k)}


def tokens(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the access tokens in the environment."""
    return {name: environ[name] for name in GITLAB_TOKENS if environ.get(name)}


def packed(environ: Mapping[str, str], *, with_tokens: bool) -> bytes:
    """Serialize the variables that a process gets through a pipe."""
    given = for_git(environ) | (tokens(environ) if with_tokens else {})
    return json.dumps(given).encode()


def unpacked(data: bytes) -> dict[str, str]:
    """Parse the result of `packed`; any other text gives no variables."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def receive() -> bool:
    """Read the variables from the pipe if this process was started with one. Its children do not get the
    tokens.
    """
    if os.environ.pop(GIVEN, "") != "stdin":
        return False
    given = unpacked(sys.stdin.buffer.read())
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    received.update(tokens(given))
    os.environ.update({k: v for k, v in given.items() if k not in GITLAB_TOKENS})
    return True


def hide(argv: list[str]) -> None:
    """Re-execute this process with an environment without secrets, if it has any."""
    if tokens(os.environ) or any(_SECRET.search(name) for name in os.environ):
        execute(argv)


def execute(argv: list[str]) -> None:
    """Replace this process by another program, which gets its variables and access tokens through a pipe."""
    data = packed({**os.environ, **received}, with_tokens=True)
    stream = os.memfd_create("environment")
    os.write(stream, data)
    os.lseek(stream, 0, os.SEEK_SET)
    os.dup2(stream, 0)
    os.execve(argv[0], argv, {**basic(os.environ), GIVEN: "stdin"})
