"""The HTTP clients of the scripts of a GitLab job: every tool that an image may have, against a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.backend.job.scripts import HERE

SCRIPT = HERE / "gitlab_http.sh"
TOOLS = ("curl", "wget", "python3", "node")


@dataclass
class Server:
    """Keeps what is put, and the last request."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    token: str | None = None
    body: bytes = b""


@pytest.fixture
def server() -> Iterator[Server]:
    kept = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            kept.token = self.headers.get("JOB-TOKEN")
            kept.body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.files[self.path] = kept.body
            self._answer(201, b"{}")

        def do_GET(self) -> None:
            kept.token = self.headers.get("JOB-TOKEN")
            found = kept.files.get(self.path)
            self._answer(404 if found is None else 200, found or b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield kept
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def code_of(tool: str, folder: Path, line: str) -> str:
    """The status that `line` has set."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    script = f'. {HERE}/common.sh; run={folder}; ca=; . {SCRIPT}; http={tool}; {line}; echo "$code"'
    done = subprocess.run(
        ["sh", "-c", script],
        env={**os.environ, "CI_JOB_TOKEN": "glcbt-secret", "no_proxy": "*"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("tool", TOOLS)
def test_a_request_carries_the_token_and_gives_the_status(tool: str, server: Server, tmp_path: Path) -> None:
    body = '{"name":"wsdash/1"}'
    assert code_of(tool, tmp_path, f"request PUT {server.url}/name '{body}'") == "201"
    assert (server.token, server.body) == ("glcbt-secret", body.encode())
    assert code_of(tool, tmp_path, f"request GET {server.url}/none") == "404"
    assert code_of(tool, tmp_path, "request GET http://127.0.0.1:1/") == "000"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("tool", TOOLS)
def test_a_request_needs_no_room_on_the_job_s_disk(tool: str, server: Server, tmp_path: Path) -> None:
    nowhere = tmp_path / "not there"
    assert code_of(tool, nowhere, f"request PUT {server.url}/name '{{}}'") == "201"
    assert server.token == "glcbt-secret"


@pytest.mark.parametrize("tool", TOOLS)
def test_a_file_comes_back_byte_for_byte(tool: str, server: Server, tmp_path: Path) -> None:
    file, back = tmp_path / "file", tmp_path / "back"
    file.write_bytes(os.urandom(1 << 20))
    assert code_of(tool, tmp_path, f"upload {server.url}/a/b {file}") == "201"
    assert (server.token, server.files["/a/b"]) == ("glcbt-secret", file.read_bytes())
    assert code_of(tool, tmp_path, f"download {server.url}/a/b {back}") == "200"
    assert back.read_bytes() == file.read_bytes()
    assert code_of(tool, tmp_path, f"download {server.url}/a/c {back}") == "404"
    assert code_of(tool, tmp_path, f"upload http://127.0.0.1:1/ {file}") == "000"
