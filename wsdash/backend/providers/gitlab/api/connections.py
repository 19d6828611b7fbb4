"""Connections to GitLab that outlive neither a firewall's memory nor their use.

A firewall or a translator of addresses forgets a connection without traffic, often after a minute, and then drops what
comes through it without a word: a request on it would wait for its timeout. So a connection that was idle for long is
not used again, and the kernel keeps others alive (tcp(7), TCP_KEEPIDLE).
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from wsdash.backend.system.clock import boot_time

IDLE_S = 30.0
"""Seconds without traffic after which a connection is not used again."""
_KEEP_ALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""Seconds without traffic before the kernel asks the other side; seconds between two questions; their number."""


def socket_options() -> list[tuple[int, int, int]]:
    """Return the options of each connection, as far as this system has them."""
    options = [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in _KEEP_ALIVE:
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


class _Fresh:
    """A connection that counts as closed once it was idle for too long. Sleep of this machine counts too."""

    _used_at = float("inf")

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        try:
            return super().getresponse(*args, **kwargs)  # type: ignore[misc]
        finally:
            self._used_at = boot_time()

    @property
    def is_connected(self) -> bool:
        return bool(super().is_connected) and boot_time() - self._used_at < IDLE_S  # type: ignore[misc]


class _FreshHTTP(_Fresh, HTTPConnection):
    pass


class _FreshHTTPS(_Fresh, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _FreshHTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _FreshHTTPS


class Adapter(HTTPAdapter):
    """The transport of a session. `context` has the certificate authorities, if they are not the usual ones."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Make the pool of direct connections."""
        made = super().init_poolmanager(*args, **{**self._more(), **kwargs})
        self._use_fresh(self.poolmanager)
        return made

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the pool of the connections through a proxy."""
        made = super().proxy_manager_for(*args, **{**self._more(), **kwargs})
        self._use_fresh(made)
        return made

    def _more(self) -> dict[str, Any]:
        more: dict[str, Any] = {"socket_options": socket_options()}
        return more if self._context is None else {**more, "ssl_context": self._context}

    def _use_fresh(self, manager: Any) -> None:  # noqa: ANN401
        manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
