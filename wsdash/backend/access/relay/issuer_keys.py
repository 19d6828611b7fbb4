"""The public keys by which instances of GitLab sign id tokens, asked for one instance apart from another."""

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
"""How long a login waits for the keys; the question itself goes on, and serves the next one."""
FRESH_S = 300.0
STALE_S = 86_400.0
"""How long keys count while the instance does not answer."""
PAUSE_S = 5.0
"""After a question before the next one, however many tokens name a key that is not there."""
READ_S = 5.0
WHOLE_S = 20.0
MOST_BYTES = 1_000_000


class NoKeys(Exception):
    """The instance does not answer: nothing is known of the token."""


def fetch(url: str, ca_file: str | None) -> dict[str, Any]:
    """The document with the keys. Blocks. Raises `OSError` and `ValueError`."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    end = time.monotonic() + WHOLE_S
    parts: list[bytes] = []
    size = 0
    with urllib.request.urlopen(url, timeout=READ_S, context=context) as answer:
        if url.startswith("https:") and not answer.geturl().startswith("https:"):
            raise ValueError("it leads to an address without TLS")
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
    """One question at a time, in a thread of its own: another instance's threads are not taken."""

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
            log.warning("%s does not tell its keys: %.200s", self.url, error)
            return
        self.keys = {key.key_id: key for key in keys if key.key_id}
        self.fetched_at = max(self.clock(), self.asked_at)


@dataclass(slots=True)
class IssuerKeys:
    """Of all instances."""

    clock: Callable[[], float] = time.monotonic
    fetch: Callable[[str, str | None], dict[str, Any]] = fetch
    _issuers: dict[tuple[str, str | None], _Issuer] = field(default_factory=dict)

    async def key(self, issuer: str, ca_file: str | None, kid: str) -> jwt.PyJWK | None:
        """The key of that id, None where the instance has none such. Raises `NoKeys`."""
        if (issuer, ca_file) not in self._issuers:
            url = f"{issuer.rstrip('/')}/oauth/discovery/keys"
            self._issuers[issuer, ca_file] = _Issuer(url, ca_file, self.fetch, self.clock)
        return await self._issuers[issuer, ca_file].key(kid)
