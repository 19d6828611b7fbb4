"""Collects the data of a fault report: wsdash's data on this machine as texts, with secrets removed.

Jobs' own logs and the files of workspaces are not included.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from wsdash.backend.clone_address import HIDDEN, redacted
from wsdash.backend.git.credential_files import KeptCredentials
from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.gitlab.api import tokens
from wsdash.backend.system import environments
from wsdash.config.settings import Config
from wsdash.paths import Paths

LARGEST_LOG = 512 * 1024
"""Most bytes of each log, from its end."""
_SHORTEST = 6
"""Shortest known secret that is redacted, in characters: a shorter one appears in any text by chance."""
_ASSIGNMENT = re.compile(
    r"(?i)(?<![\w-])(?=[\w-]*?(?:token|secret|passw|passphrase|credential|private_?key|api_?key))([\w-]++)"
    r"(=|[\"']?\s*[=:]\s*(?=[\"'])|[\"']?\s*[=:]\s*(?=[^\s\"',;&]{8}))"
    r"(\"[^\"]*\"|'[^']*'|[^\s\"',;&]+)"
)
"""With blanks between, only what is in quotes or long: `tokens: 3` is a count. Reads each word once."""
_BEARER = re.compile(r"(?i)\b(bearer|basic|private-token:)\s+[\w+/=.~-]{8,}")


class Redactor:
    """Hides known values, tokens by their shape, secrets in addresses, and values of names like "token"."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {secret for secret in secrets if len(secret) >= _SHORTEST}
        known |= {quote(secret, safe="") for secret in known} | {json.dumps(secret)[1:-1] for secret in known}
        longest_first = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if known else None

    def __call__(self, text: str) -> str:
        """Return the text with its secrets hidden."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        text = _ASSIGNMENT.sub(lambda found: found[1] + found[2] + HIDDEN, redacted(text))
        return _BEARER.sub(lambda found: f"{found[1]} {HIDDEN}", text)


def known_secrets(paths: Paths, config: Config | None, environ: Mapping[str, str]) -> set[str]:
    """Return the secrets that this user has given wsdash, from every store. Blocks."""
    found = {value for name, value in environ.items() if environments.is_secret(name)}
    found |= set(environments.received.values())
    for context in config.contexts.values() if config is not None else ():
        if context.gitlab is not None:
            try:
                stored = tokens.find(context.gitlab.url, paths.credentials_file, environ)
            except ProviderError:
                continue
            found |= {credential.token for credential in stored}
    for file in (*paths.contexts.glob("*/secrets/*"), paths.cache_key_file, paths.credentials_file):
        found |= _values(file)
    for folder in (paths.state / "credentials", *paths.contexts.glob("*/credentials")):
        kept = KeptCredentials(folder)
        for file in folder.glob("[!.]*"):
            for credential in kept.of(file.name):
                found |= {credential.password} if credential.password else {credential.username}
    return {value.strip() for value in found}


def _values(file: Path) -> set[str]:
    """Return the words and assigned values of a file of shell data or TOML."""
    try:
        words = shlex.split(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return {part for word in words for part in (word, word.partition("=")[2])}


def texts(paths: Paths) -> Iterator[tuple[str, str]]:
    """Yield names and contents of the configuration, logs and crash reports that exist. Blocks."""
    files = [paths.config_file, *paths.state.glob("*.log*"), *paths.state.glob("access/*.log*")]
    files += sorted(paths.crash_reports.glob("*.txt"))
    for file in files:
        try:
            with file.open("rb") as stream:
                size = stream.seek(0, io.SEEK_END)
                stream.seek(max(0, size - LARGEST_LOG))
                data = stream.read(LARGEST_LOG)
        except OSError:
            continue
        folder = "crashes/" if file.parent == paths.crash_reports else ""
        yield f"{folder}{file.name}", data.decode("utf-8", "replace")


def archive(entries: Iterable[tuple[str, str]], redact: Redactor, folder: str, now: float) -> bytes:
    """Return a tar.gz with each text in `folder`."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in entries:
            content = redact(text).encode()
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode, member.mtime = len(content), 0o600, int(now)
            tar.addfile(member, io.BytesIO(content))
    return data.getvalue()
