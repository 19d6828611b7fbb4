"""The script that starts an editor in a job: once, behind a secret, and with a word on why where it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import psutil
import pytest

from tests.backend.job.scripts import HERE
from tests.waiting import until_sync
from wsdash.backend.job.web_editor import Editor, NoEditor, editor_of

LISTEN = """\
import os, socket, sys, time
arguments = sys.argv[1:]
print(*arguments, flush=True)
option = "--socket-path" if "--socket-path" in arguments else "--socket"
server = socket.socket(socket.AF_UNIX)
server.bind(arguments[arguments.index(option) + 1])
server.listen()
time.sleep(60)
"""
PROGRAM = f"""\
#!/bin/sh
# A line of #! takes no blanks, which the path of Python may have.
exec {quote(sys.executable)} -c {quote(LISTEN)} "$@"
"""


class Job:
    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        for name in ("bin", "tmp", "project"):
            (folder / name).mkdir()
        self.env = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "TMPDIR": str(folder / "tmp"),
            "PROJECT_SOURCE": str(folder / "project"),
        }

    @property
    def editor(self) -> Path:
        return self.folder / "tmp" / "editor"

    def install(self, name: str, text: str = PROGRAM) -> None:
        program = self.bin / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)

    def open(self) -> Editor:
        script = str(HERE / "editor.sh")
        done = subprocess.run(
            ["sh", script], env=self.env, capture_output=True, text=True, timeout=60, check=False
        )
        return editor_of(done.stdout, done.stderr)

    def process(self) -> int:
        return int((self.editor / "process").read_text())


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    job = Job(tmp_path)
    yield job
    if (job.editor / "process").exists():
        try:
            os.kill(job.process(), signal.SIGKILL)
        except ProcessLookupError:
            return


@pytest.mark.parametrize(("name", "kind"), [("openvscode-server", "vscode"), ("code-server", "code-server")])
def test_it_is_started_once_on_a_socket_of_its_own_with_a_secret_that_no_process_list_shows(
    job: Job, name: str, kind: str
) -> None:
    job.install(name)
    first = job.open()
    process = job.process()
    assert (first.kind, first.socket) == (kind, str(job.editor / "socket"))
    assert Path(first.socket).is_socket()
    assert job.editor.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o077 for file in job.editor.iterdir()} == {0}
    assert first.token not in (job.editor / "log").read_text()  # its arguments
    assert str(job.folder / "project") in (job.editor / "log").read_text()
    assert (job.open(), job.process()) == (first, process)


def test_one_that_has_ended_is_started_anew_with_another_secret(job: Job) -> None:
    job.install("code-server")
    first = job.open()
    process = job.process()
    os.kill(process, signal.SIGKILL)
    until_sync(lambda: not psutil.pid_exists(process), what="the end of the editor")
    assert job.open().token != first.token


def test_the_editor_that_a_service_has_brought_comes_first(job: Job) -> None:
    job.install("code-server")
    job.install("tools/vscode-reh-web/bin/gitlab-webide-server")
    run = job.folder / "run"
    run.mkdir()
    (run / "editor").write_text(f"{job.bin}/tools\n")
    job.env["WSDASH_RUN"] = str(run)
    found = job.open()
    folder = Path((run / "editor-folder").read_text().strip())
    assert (found.kind, Path(found.socket).parent) == ("vscode", folder)
    os.kill(int((folder / "process").read_text()), signal.SIGKILL)


def test_a_folder_with_a_long_name_is_no_hindrance(job: Job) -> None:
    job.env["TMPDIR"] = str(job.folder / ("long-" * 20) / "tmp")
    Path(job.env["TMPDIR"]).mkdir(parents=True)
    job.install("code-server")
    found = job.open()
    assert len(found.socket) > 107 and Path(found.socket).is_socket()
    os.kill(int((Path(found.socket).parent / "process").read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "The workspace has no editor"),
        ("#!/bin/sh\necho no licence >&2\nexit 3\n", "does not start: no licence"),
    ],
)
def test_why_there_is_none_is_told(job: Job, text: str | None, words: str) -> None:
    if text is not None:
        job.install("code-server", text)
    with pytest.raises(NoEditor, match=words):
        job.open()
