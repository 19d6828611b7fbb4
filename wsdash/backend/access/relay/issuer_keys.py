"""The public keys with which GitLab instances sign id tokens. Each instance is queried independently of the others."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import jwt

log = logging.getLogger("wsdash.relay")

WAIT_S = 8.0
"""Longest wait of a login for the keys, in seconds; the query goes on, and its answer serves the next login."""
FRESH_S = 300.0
STALE_S = 86_400.0
"""Validity of keys while the instance does not answer, in seconds."""
PAUSE_S = 5.0
"""The pause between two queries, in seconds, however many tokens name an unknown key."""
READ_S = 5.0
WHOLE_S = 20.0
MOST_BYTES = 1_000_000


class NoKeys(Exception):
    """The instance does not answer, so a token can neither be accepted nor rejected."""


def fetch(url: str, ca_file: str | None) -> dict[str, Any]:
    """Return the document with the keys. Blocks. Raises `OSError` and `ValueError`."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    end = time.monotonic() + WHOLE_S
    parts: list[bytes] = []
    size = 0
    with urllib.request.urlopen(url, timeout=READ_S, context=context) as answer:
        if url.startswith("https:") and not answer.geturl().startswith("https:"):
            raise ValueError("it redirects to an address without TLS")
        while part := answer.read1(65536):
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES or time.monotonic() > end:
                raise ValueError("its answer is too long")
    try:
        found = json.loads(b"".join(parts))
    except RecursionError:
        raise ValueError("its answer is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("its answer holds no keys")
    return found


@dataclass(slots=True)
class _Issuer:
    """The keys of one instance. It has one query at a time, in a thread of its own: a slow instance delays no other."""

    url: str
    ca_file: str | None
    fetch: Callable[[str, str | None], dict[str, Any]]
    clock: Callable[[], float]
    keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    fetched_at: float = float("-inf")
    asked_at: float = float("-inf")
    asking: asyncio.Task[None] | None = None
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    async def key(self, kid: str) -> jwt.PyJWK | None:
        age = self.clock() - self.fetched_at
        if kid not in self.keys or age > FRESH_S:
            await self._ask()
        if kid in self.keys and self.clock() - self.fetched_at < STALE_S:
            return self.keys[kid]
        if self.fetched_at < self.asked_at:
            raise NoKeys
        return None

    async def _ask(self) -> None:
        if self.asking is None or self.asking.done():
            if self.clock() - self.asked_at < PAUSE_S:
                return
            self.asked_at = self.clock()
            self.asking = asyncio.create_task(self._fetch())
        await asyncio.wait([self.asking], timeout=WAIT_S)

    async def _fetch(self) -> None:
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self.threads, self.fetch, self.url, self.ca_file
            )
            keys = jwt.PyJWKSet.from_dict(found).keys
        except (OSError, ValueError, jwt.PyJWTError, RecursionError) as error:
            log.warning("%s did not return its keys: %.200s", self.url, error)
            return
        self.keys = {key.key_id: key for key in keys if key.key_id}
        self.fetched_at = max(self.clock(), self.asked_at)


@dataclass(slots=True)
class IssuerKeys:
    """The keys of all instances."""

    clock: Callable[[], float] = time.monotonic
    fetch: Callable[[str, str | None], dict[str, Any]] = fetch
    _issuers: dict[tuple[str, str | None], _Issuer] = field(default_factory=dict)

    async def key(self, issuer: str, ca_file: str | None, kid: str) -> jwt.PyJWK | None:
        """Return the key of that id, None if the instance has no such key. Raises `NoKeys`."""
        if (issuer, ca_file) not in self._issuers:
            url = f"{issuer.rstrip('/')}/oauth/discovery/keys"
            self._issuers[issuer, ca_file] = _Issuer(url, ca_file, self.fetch, self.clock)
        return await self._issuers[issuer, ca_file].key(kid)
