"""Verifies a job's one-time proof, a GitLab id token or a secret, against its attempt's grant."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt

from wsdash.backend.access.grants import Grant
from wsdash.backend.access.relay.issuer_keys import IssuerKeys

LEEWAY_S = 60.0


class NotProven(Exception):
    """The proof is invalid. The message, for the log, contains nothing of the proof."""


@dataclass(slots=True)
class Proofs:
    """Verifies proofs. Remembers the instances' keys, and the ids of used tokens until they expire."""

    clock: Callable[[], float] = time.time
    keys: IssuerKeys = field(default_factory=IssuerKeys)
    _used: dict[str, float] = field(default_factory=dict)

    async def check(self, grant: Grant, proof: str, *, again: bool = False) -> Callable[[], None]:
        """Verify a proof; return a function to call once the proof was used, because each counts once.

        `again` accepts a proof that was used before, for a job that asks for the same answer again.

        Raises `NotProven`, and `NoKeys` where the instance does not answer.
        """
        if grant.secret_hash:
            if self.clock() > grant.not_after:
                raise NotProven("its secret has expired")
            given = hashlib.sha256(proof.encode("utf-8", "surrogatepass")).hexdigest()
            if not hmac.compare_digest(given, grant.secret_hash):
                raise NotProven("its secret is wrong")
            return lambda: None
        if not grant.issuer:
            raise NotProven("its grant accepts no proof")
        claims = await self._claims(grant, proof)
        if str(claims.get("pipeline_id")) != grant.pipeline_id:
            raise NotProven(f"its token is of pipeline {str(claims.get('pipeline_id'))[:20]!r}")
        token_id, expires_at = str(claims.get("jti")), float(claims["exp"]) + LEEWAY_S
        if token_id in self._used and not again:
            raise NotProven("its token was used before")
        return lambda: self._use(token_id, expires_at)

    def _use(self, token_id: str, expires_at: float) -> None:
        now = self.clock()
        self._used = {used: until for used, until in self._used.items() if until > now}
        self._used[token_id] = expires_at

    async def _claims(self, grant: Grant, proof: str) -> dict[str, Any]:
        try:
            kid = jwt.get_unverified_header(proof).get("kid")
            key = await self.keys.key(grant.issuer, grant.ca_file, str(kid))
            if key is None:
                raise NotProven("its token is invalid: the instance has no such key")
            return jwt.decode(
                proof,
                key.key,
                algorithms=["RS256"],
                audience=grant.audience,
                issuer=grant.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "jti"]},
            )
        except jwt.PyJWTError as error:
            raise NotProven(f"its token is invalid: {type(error).__name__}") from None
        except (ValueError, TypeError, RecursionError) as error:
            raise NotProven(f"its token is invalid: {type(error).__name__}") from None
