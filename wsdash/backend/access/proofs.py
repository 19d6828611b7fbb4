"""Whether what a job shows proves that it is the attempt that a grant is for."""

from __future__ import annotations

import hashlib
import hmac
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt

from wsdash.backend.access.grants import Grant

LEEWAY_S = 60.0


class NotProven(Exception):
    """The reason, for the log: it holds nothing of what was shown."""


@dataclass(slots=True)
class Proofs:
    """Remembers the instances' keys, and the ids of the tokens that were used."""

    clock: Callable[[], float] = time.time
    _keys: dict[str, jwt.PyJWKClient] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)

    def check(self, grant: Grant, proof: str) -> None:
        """Each proof counts once. Blocks while the instance's keys are asked for. Raises `NotProven`."""
        if grant.secret_hash:
            if self.clock() > grant.not_after:
                raise NotProven("the time of its secret is over")
            given = hashlib.sha256(proof.encode("utf-8", "surrogatepass")).hexdigest()
            if not hmac.compare_digest(given, grant.secret_hash):
                raise NotProven("the secret is another one")
            return
        if not grant.issuer:
            raise NotProven("there is nothing that could prove it")
        claims = self._claims(grant, proof)
        if str(claims.get("pipeline_id")) != grant.pipeline_id:
            raise NotProven(f"its token is of pipeline {str(claims.get('pipeline_id'))[:20]!r}")
        used = str(claims.get("jti"))
        if used in self._used:
            raise NotProven("its token was used before")
        self._used.add(used)

    def _claims(self, grant: Grant, proof: str) -> dict[str, Any]:
        try:
            key = self._keys_of(grant).get_signing_key_from_jwt(proof).key
            return jwt.decode(
                proof,
                key,
                algorithms=["RS256"],
                audience=grant.audience,
                issuer=grant.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "jti"]},
            )
        except jwt.PyJWTError as error:
            raise NotProven(f"its token does not hold: {type(error).__name__}") from None

    def _keys_of(self, grant: Grant) -> jwt.PyJWKClient:
        if grant.issuer not in self._keys:
            context = ssl.create_default_context()
            if grant.ca_file:
                context.load_verify_locations(grant.ca_file)
            url = f"{grant.issuer.rstrip('/')}/oauth/discovery/keys"
            self._keys[grant.issuer] = jwt.PyJWKClient(url, timeout=10, ssl_context=context)
        return self._keys[grant.issuer]
