"""`wsdash ssh-config remote`: the ssh configuration of another machine, which reaches workspaces through this one."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import socket

from wsdash.backend.access.keys import make_keys
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.ssh.config import KEY_ELSEWHERE, KNOWN_HOSTS_ELSEWHERE, stanza_elsewhere, users
from wsdash.backend.access.ssh.files import own_login, reported_logins
from wsdash.backend.job.web_editor import came_to
from wsdash.commands.console import DONE
from wsdash.paths import Paths

_FINDS_STATE = re.compile(r"WSDASH_HOME|XDG_(CONFIG|STATE|CACHE)_HOME", re.ASCII)
"""Variables of this session by which `wsdash connect` finds the same workspaces in another one."""


def print_remote(paths: Paths) -> int:
    """Print the configuration, with the commands that copy its two files as comments."""
    folder = AccessFolder.of(paths)
    make_keys(folder)
    host, port = came_to(os.environ, socket.gethostname())
    user = getpass.getuser()
    way = ["ssh", *(["-p", port] if port != "22" else []), f"{user}@{host}"]
    environ = {key: value for key, value in os.environ.items() if _FINDS_STATE.fullmatch(key)}
    copies = (
        _copy(user, host, port, str(folder.user_key), KEY_ELSEWHERE),
        _copy(user, host, port, str(folder.known_hosts), KNOWN_HOSTS_ELSEWHERE),
    )
    print(f"""\
# For ~/.ssh/config on the machine that you sit at, above its first Host line: `ssh NAME.wsdash` there goes through
# {shlex.join(way)}
# Copy two files to that machine once. The first is a private key, which opens your workspaces:
#   {copies[0]}
#   {copies[1]}
# A workspace whose job runs as another user than below is reached as USER@NAME.wsdash (`wsdash code` prints it).""")
    print(users(reported_logins(folder)).partition("\n")[2], end="")
    print(stanza_elsewhere(way, environ, own_login()), end="")
    return DONE


def _copy(user: str, host: str, port: str, source: str, target: str) -> str:
    """Return the scp command. `target` begins with `~/`, which the shell has to expand."""
    address = f"[{host}]" if ":" in host else host
    words = ["scp", "-p", *(["-P", port] if port != "22" else []), f"{user}@{address}:{source}"]
    return f"{shlex.join(words)} {target}"
