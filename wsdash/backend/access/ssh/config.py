"""The configuration with which the user's ssh, scp, rsync and desktop editors reach `NAME.wsdash`. Pure."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from wsdash.backend.access import proxy_command
from wsdash.backend.access.paths import AccessFolder

ABOUT = "# wsdash: makes `ssh NAME.wsdash` open a workspace. `wsdash ssh-config uninstall` removes this."

FAST_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""Preferred ciphers: traffic to a workspace is encrypted twice, and most processors have instructions for AES."""


TERMINAL_VARIABLES = "LANG LC_* COLORTERM"
"""Variables of the user's terminal that a session gets; ssh sends TERM with a terminal by itself."""

KEY_ELSEWHERE = "~/.ssh/wsdash_key"
KNOWN_HOSTS_ELSEWHERE = "~/.ssh/wsdash_known_hosts"
"""Copies of the user's key and of the known hosts on another machine."""

_HOSTS = """Host *.wsdash "!*'*"\n"""


STATED = frozenset(
    {
        "user", "proxycommand", "hostname", "port", "userknownhostsfile", "stricthostkeychecking",
        "hostkeyalgorithms", "casignaturealgorithms", "identityfile", "identitiesonly", "pubkeyauthentication",
        "preferredauthentications", "pubkeyacceptedalgorithms", "remotecommand", "requesttty", "forwardagent",
        "controlmaster", "controlpath", "controlpersist", "exitonforwardfailure", "permitlocalcommand",
    }
)  # fmt: skip
"""Options of the stanza without which a session fails or does something else, as `ssh -G` spells them."""


def stanza(folder: AccessFolder, user: str) -> str:
    """Return the file to include: one stanza for all workspaces, which need not be rewritten for a new one.

    `user` is the user of this machine, as whom ssh logs in to workspaces on it. The login names of the other workspaces
    are in a file that is rewritten whenever a job reports one.

    The stanza sets every option that a session depends on, because ssh takes the others from the user's settings for
    all hosts. Options that accumulate (LocalForward, SendEnv, IdentityFile) do no harm.

    Connections are not shared (ControlMaster): a shared one outlives the ssh that made it, with its forwarded ports,
    leads into a workspace that was deleted and made again, and takes the helper's standard error away. The tunnel that
    a job holds is open already, so a connection of its own costs little.

    The helper copies the bytes and does not pass a descriptor (ProxyUseFdpass), because ssh starts it by the user's
    shell: bash reads start-up files when standard input is a socket, and their output would replace the descriptor.

    The typed name passes through a shell in single quotes, so a name with an apostrophe is excluded: OpenSSH before
    9.6 does not refuse such names (CVE-2023-51385).
    """
    helper = shlex.join(
        [sys.executable, "-S", "-E", str(Path(proxy_command.__file__)), "--in", str(folder.root)]
    )
    options = _options(
        f"{helper.replace('%', '%%')} '%n'", user, word(folder.user_key), word(folder.known_hosts)
    )
    return f"""# Written by wsdash.
{_include(folder.ssh_users)}
{_HOSTS}{options}"""


def stanza_elsewhere(way: Sequence[str], environ: Mapping[str, str], user: str) -> str:
    """The same for another machine, which reaches workspaces through this one.

    `way` is the ssh command that leads here, `environ` the variables by which `wsdash connect` finds its state. The
    keys are copies, `KEY_ELSEWHERE` and `KNOWN_HOSTS_ELSEWHERE`. What the other machine's configuration says for all
    hosts may send the inner ssh elsewhere, so its command and forwardings are turned off.
    """
    variables = [f"{key}={value}" for key, value in environ.items()]
    here = shlex.join(["env", *variables, sys.executable, "-m", "wsdash", "connect"])
    inner = ["-T", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes"]
    program, *words = way
    there = "{} {}".format(shlex.join([program, *inner, *words]), shlex.quote(f"{here} '\0'"))
    command = there.replace("%", "%%").replace("\0", "%n")
    return f"{_HOSTS}{_options(command, user, KEY_ELSEWHERE, KNOWN_HOSTS_ELSEWHERE)}"


def _options(proxy_command: str, user: str, key: str, known_hosts: str) -> str:
    options = {
        **({"User": user} if user else {}),
        "ProxyCommand": proxy_command,
        "ProxyUseFdpass": "no",
        "HostName": "%h",
        "Port": "22",
        "CanonicalizeHostname": "no",
        "ConnectTimeout": "0",
        "UserKnownHostsFile": known_hosts,
        "GlobalKnownHostsFile": known_hosts,
        "StrictHostKeyChecking": "yes",
        "RevokedHostKeys": "none",
        "UpdateHostKeys": "no",
        "VerifyHostKeyDNS": "no",
        "HostKeyAlgorithms": "ssh-ed25519-cert-v01@openssh.com,ssh-ed25519",
        "CASignatureAlgorithms": "ssh-ed25519",
        "KexAlgorithms": "^curve25519-sha256",
        "MACs": "^hmac-sha2-256-etm@openssh.com",
        "IdentityFile": key,
        "IdentitiesOnly": "yes",
        "PubkeyAuthentication": "yes",
        "PreferredAuthentications": "publickey",
        "PubkeyAcceptedKeyTypes": "ssh-ed25519",
        "PKCS11Provider": "none",
        "AddKeysToAgent": "no",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ExitOnForwardFailure": "no",
        "PermitLocalCommand": "no",
        "RemoteCommand": "none",
        "RequestTTY": "auto",
        "SendEnv": TERMINAL_VARIABLES,
        "Tunnel": "no",
        "ServerAliveInterval": "10",
        "ServerAliveCountMax": "3",
        "Ciphers": FAST_CIPHERS,
        "ControlMaster": "no",
        "ControlPath": "none",
        "ControlPersist": "no",
    }
    return "".join(f"    {name} {value}\n" for name, value in options.items())


def users(logins: Mapping[str, str]) -> str:
    """Return the login names by workspace. They come before the stanza, as ssh uses the first value that it finds."""
    blocks = "".join(
        f"Host {name}.wsdash\n    User {login}\n" for name, login in sorted(logins.items()) if name
    )
    return f"# Written by wsdash.\n{blocks}"


def with_include(text: str, file: Path) -> str:
    """The user's configuration with the file included before everything else: a Host line would end it.

    Where the line stands after a Host or an option, it is moved: ssh takes the first value that it reads.
    """
    line = _include(file)
    if line in _before_options(text):
        return text
    return f"{ABOUT}\n{line}\n\n{without_include(text, file)}"


def without_include(text: str, file: Path) -> str:
    """Return the user's configuration without the inclusion."""
    lines = text.splitlines(keepends=True)
    kept: list[str] = []
    at = 0
    while at < len(lines):
        if lines[at].strip() in (ABOUT, _include(file)):
            at += 1
            if kept == [] and at < len(lines) and not lines[at].strip():
                at += 1
            continue
        kept.append(lines[at])
        at += 1
    return "".join(kept)


def _before_options(text: str) -> list[str]:
    """Return the Include lines that come before any other keyword."""
    found = []
    for line in map(str.strip, text.splitlines()):
        if line and not line.startswith("#"):
            if not line.lower().startswith("include"):
                break
            found.append(line)
    return found


def _include(file: Path) -> str:
    """`Include` splits words as a shell does, then expands patterns (readconf.c, glob(7))."""
    literal = re.sub(r"([\[\]*?\\])", r"\\\1", str(file))
    return f"Include {_quoted(literal)}"


def word(path: Path) -> str:
    """As one word of ssh_config(5), whatever blanks and quotes it has, and `%` as itself."""
    return _quoted(str(path)).replace("%", "%%")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def overridden(wanted: str, found: str) -> dict[str, tuple[str, str]]:
    """Return the options that have another value than wsdash's lines give: the wanted and the found one.

    Both texts are printed by `ssh -G`: with wsdash's file alone, and with the user's configuration. Of options that add
    up (`IdentityFile`, `SendEnv`) the first one counts.
    """
    ours, theirs = _first_values(wanted), _first_values(found)
    return {
        key: (value, theirs.get(key, "none"))
        for key, value in ours.items()
        if key in STATED and theirs.get(key) != value
    }


def _first_values(printed: str) -> dict[str, str]:
    """Return the first value of each option."""
    found: dict[str, str] = {}
    for line in printed.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, value)
    return found
