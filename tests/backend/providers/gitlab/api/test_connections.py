"""Connections that a firewall has forgotten cost no request its timeout."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from wsdash.backend.providers.gitlab.api import connections
from wsdash.backend.providers.gitlab.api.connections import Adapter, socket_options


class Forgetful(ThreadingHTTPServer):
    """Answers only the first request of a connection, and says nothing of it: as behind a firewall that forgot it."""

    connections = 0
    daemon_threads = True


@pytest.fixture
def server() -> Iterator[Forgetful]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        answered = False

        def do_GET(self) -> None:
            if self.answered:
                time.sleep(30)
                return
            self.answered = True
            self.server.connections += 1  # type: ignore[attr-defined]
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            return

    found = Forgetful(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as found:
        found.trust_env = False
        found.mount("http://", Adapter())
        yield found


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    server: Forgetful, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(connections, "boot_time", lambda: now[0])
    url = f"http://127.0.0.1:{server.server_port}/"
    assert session.get(url, timeout=20).text == "ok"
    now[0] += connections.IDLE_S
    assert session.get(url, timeout=20).text == "ok"
    assert server.connections == 2
    now[0] += connections.IDLE_S - 1
    with pytest.raises(requests.exceptions.ReadTimeout):
        session.get(url, timeout=0.5)


def test_the_kernel_keeps_connections_alive_before_a_firewall_forgets_them(server: Forgetful) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port)) as one:
        for option in socket_options():
            one.setsockopt(*option)
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) < 30
