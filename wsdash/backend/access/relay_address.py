"""The address and the public keys with which a job connects to the relay. All of it is public."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """Host and port as runners see them, the relay's public key, and that of the user, who comes in by the tunnel.

    `audience` is the `aud` of the job's id token. Keys are `KIND BASE64`.
    """

    host: str
    port: int
    host_key: str
    user_key: str
    audience: str

    @property
    def text(self) -> str:
        """`HOST PORT`, as jobs get it."""
        return f"{self.host} {self.port}"
