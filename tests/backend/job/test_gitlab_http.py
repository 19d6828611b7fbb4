"""The HTTP clients of the scripts of a GitLab job: every tool that an image may have, against a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
    tokens: list[str | None] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    """Where a path leads to."""


@contextmanager
def serving() -> Iterator[Server]:
    kept = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            kept.token = self.headers.get("JOB-TOKEN")
            kept.body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.files[self.path] = kept.body
            self._answer(201, b"{}")

        def do_GET(self) -> None:
            kept.token = self.headers.get("JOB-TOKEN")
            kept.tokens.append(kept.token)
            if self.path in kept.redirects:
                self.send_response(302)
                self.send_header("Location", kept.redirects[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
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


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


@pytest.fixture
def storage() -> Iterator[Server]:
    """Another host, as GitLab's object storage is."""
    with serving() as found:
        yield found


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


@pytest.mark.parametrize("tool", TOOLS)
def test_a_download_from_an_object_storage_goes_there_without_the_token(
    tool: str, server: Server, storage: Server, tmp_path: Path
) -> None:
    back = tmp_path / "back"
    # GitLab itself may redirect first; no host after the first other one gets the token, not even GitLab.
    server.redirects = {"/a": "/b", "/b": f"{storage.url}/c?signed=1"}
    storage.redirects = {"/c?signed=1": f"{server.url}/d"}
    server.files["/d"] = b"what was kept"
    assert code_of(tool, tmp_path, f"download {server.url}/a {back}") == "200"
    assert back.read_bytes() == b"what was kept"
    assert server.tokens == ["glcbt-secret", "glcbt-secret", None]
    assert storage.tokens == [None]


@pytest.mark.parametrize("tool", TOOLS)
def test_a_redirect_that_leads_nowhere_ends(tool: str, server: Server, tmp_path: Path) -> None:
    server.redirects = {"/a": "/a", "/file": "file:///etc/passwd"}
    assert code_of(tool, tmp_path, f"download {server.url}/a {tmp_path}/back") == "302"
    assert len(server.tokens) == 6
    assert code_of(tool, tmp_path, f"download {server.url}/file {tmp_path}/back") == "302"
    assert not (tmp_path / "back").exists() or not (tmp_path / "back").read_bytes()


@pytest.mark.parametrize("tool", TOOLS)
def test_a_request_follows_no_redirect(tool: str, server: Server, storage: Server, tmp_path: Path) -> None:
    server.redirects = {"/job": f"{storage.url}/job"}
    assert code_of(tool, tmp_path, f"request GET {server.url}/job") == "302"
    assert storage.tokens == []
