"""Machines of jobs that are not the one that the tests run on: other programs, no /proc, other users, full disks.

The script is the one that GitLab's runner gets. bubblewrap hides what the machine does not have.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import yaml

from tests.backend.job.conftest import Running
from tests.waiting import until_sync
from wsdash.backend.providers.gitlab.ci import pipeline_name
from wsdash.backend.providers.gitlab.ci.config import JOB, Identity, Options, render
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat
from wsdash.workload import Command, Workload

WORKSPACE = f"machine{os.getpid()}"
BWRAP = shutil.which("bwrap") or "/usr/bin/bwrap"
BUSYBOX = shutil.which("busybox") or "/bin/busybox"
NEEDED = tuple(
    "cat chmod cp cut date df env grep head id ln ls mkdir mktemp mv printenv"  # noqa: SIM905
    " rm rmdir sed sh sleep sort tail tar touch tr tty uname wc xargs".split()
)
"""What every machine has: POSIX, and tar."""
BSD = {
    # As on FreeBSD and macOS: their options, and none of GNU's.
    "stat": """\
case $1 in -f | -Lf) ;; *) exit 1 ;; esac
exec {real} -Lc "$(echo "$2" | sed -e s/%d/%d/ -e s/%a/%X/ -e s/%m/%Y/)" "$3"
""",
    "date": """case $* in *-d* | *--*) exit 1 ;; *) exec {real} "$@" ;; esac\n""",
    "sed": """case $1 in -i | -r | --*) exit 1 ;; *) exec {real} "$@" ;; esac\n""",
    "readlink": """case $1 in -f) exit 1 ;; *) exec {real} "$@" ;; esac\n""",
    "base64": """case $* in *-w*) exit 1 ;; *) exec {real} "$@" ;; esac\n""",
    "sysctl": """\
[ "$*" = '-n kern.boottime' ] || exit 1
read -r boot <{boot}
echo "{{ sec = $boot, usec = 0 }} Tue Dec  1 00:00:00 2026"
""",
}


@cache
def can_be_made() -> bool:
    """Whether bubblewrap works here."""
    probe = [
        BWRAP,
        "--ro-bind",
        "/",
        "/",
        "--tmpfs",
        "/proc",
        "--dev",
        "/dev",
        "true",
    ]
    return Path(BWRAP).exists() and subprocess.run(probe, capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Machine:
    """A kind of machine. `programs` are those in its PATH; None for those of this machine."""

    name: str
    shell: tuple[str, ...] = ("dash",)
    programs: tuple[str, ...] | None = None
    is_bsd: bool = False
    has_proc: bool = True
    disk: int | None = None
    """Bytes of a disk of its own for the project's folder, which nobody else sees."""
    has_ipv4: bool = True
    user: tuple[int, int] | None = None
    notices: tuple[str, ...] = ()
    """What its jobs say at their start."""

    @property
    def sends_names(self) -> bool:
        """Whether it has a program for requests to GitLab."""
        return self.programs is None or "curl" in self.programs


@dataclass
class JobOn:
    """The job of one workspace on such a machine."""

    running: Running
    names: list[str]
    arguments: list[str]
    env: dict[str, str]
    after: str
    base: Path

    def beats(self) -> list[Heartbeat]:
        return [beat for name in list(self.names) if (beat := pipeline_name.parse(name)) is not None]

    @property
    def log(self) -> str:
        return self.running.output.read_text(errors="replace")

    def until_state(self, state: str) -> None:
        file = self.base / "run/state"
        until_sync(
            lambda: file.exists() and file.read_text().strip() == state, 60.0, f"{state} after {self.log}"
        )

    def enter(self, *argv: str) -> str:
        """The output of a command in the workspace, as `wsdash ssh` runs it."""
        job = self.base / "run/job"
        inside = {"PROJECTS_ROOT": str(self.base / "live/projects"), "HOME": str(self.base / "live/home")}
        line = [*self.arguments, "sh", str(job / "job.sh"), "enter", str(job / "workload.sh"), *argv]
        done = subprocess.run(
            line, env=self.env | inside, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout + done.stderr

    def end(self) -> str:
        """What the job's after_script says."""
        env = self.env | {"CI_JOB_STATUS": "canceled"}
        line = [*self.arguments, "sh", "-c", self.after]
        done = subprocess.run(line, env=env, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0
        return done.stdout + done.stderr

    def stop(self) -> int:
        """End it as the runner does, by a signal to all of its processes; not to the sandbox around them."""
        for process in psutil.Process(self.running.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if process.name() != "bwrap":
                    process.terminate()
        return self.running.process.wait(60)


class _Server6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


@contextmanager
def gitlab(*, has_ipv4: bool = True) -> Iterator[tuple[str, list[str]]]:
    """The address of an API that takes names of pipelines, and the names."""
    names: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_name = self.path.endswith("/metadata")
            if is_name:
                names.append(json.loads(body)["name"])
            self.send_response(200 if is_name else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler) if has_ipv4 else _Server6(("::1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{'127.0.0.1' if has_ipv4 else '[::1]'}:{server.server_port}", names
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _path(machine: Machine, folder: Path) -> str:
    programs = folder / "bin"
    programs.mkdir()
    boot = folder / "boot"
    boot.write_text(str(int(float(Path("/proc/stat").read_text().split("btime ")[1].split()[0]))))
    for name in set(machine.programs or ()):
        found = BUSYBOX if machine.shell[0] == "busybox" else shutil.which(name)
        if found is not None:
            (programs / name).symlink_to(found)
    for name, text in (BSD if machine.is_bsd else {}).items():
        (programs / name).unlink(missing_ok=True)
        (programs / name).write_text(f"#!/bin/sh\n{text.format(real=shutil.which(name), boot=boot)}\n")
        (programs / name).chmod(0o755)
    return str(programs) if machine.programs is not None else f"{programs}:{os.environ['PATH']}"


def _walls(machine: Machine, folder: Path, project: Path) -> list[str]:
    walls = [
        BWRAP,
        "--die-with-parent",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--bind",
        str(project),
        str(project),
    ]
    if machine.disk is not None:
        walls += ["--size", str(machine.disk), "--tmpfs", str(project)]
    if not machine.has_proc:
        walls += ["--tmpfs", "/proc"]
    if machine.user is not None:
        walls += ["--unshare-user", "--uid", str(machine.user[0]), "--gid", str(machine.user[1])]
    return walls


@contextmanager
def job_on(machine: Machine, folder: Path, post_start: Sequence[str] = (), **more: str) -> Iterator[JobOn]:
    """Run a job whose setup runs these commands, with these further variables."""
    project = folder / "project"
    project.mkdir(parents=True)
    with gitlab(has_ipv4=machine.has_ipv4) as (url, names):
        commands = tuple(Command(f"c{place}", line) for place, line in enumerate(post_start))
        text = render(
            Workload(post_start=commands), Identity(WORKSPACE, "m", "a.1.1"), Options(beat_s=1)
        ).text
        job = yaml.safe_load(text)[JOB]
        path = _path(machine, folder)
        env = {
            "PATH": path,
            "CI_PROJECT_DIR": str(project),
            "CI_API_V4_URL": url,
            "CI_PROJECT_ID": "1",
            "CI_PIPELINE_ID": "2",
            "CI_JOB_ID": "3",
            "CI_JOB_TOKEN": "glcbt-x",
            "CI_SERVER_URL": url,
            "no_proxy": "*",
            **{name: str(value) for name, value in job["variables"].items()},
            **more,
        }
        script = folder / "script"
        script.write_text("set -e\n" + "\n".join(job["script"]) + "\n")
        walls = _walls(machine, folder, project)
        output = folder / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*walls, shutil.which(machine.shell[0]) or machine.shell[0], *machine.shell[1:], str(script)],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            base = project / ".wsdash" / WORKSPACE
            yield JobOn(Running(process, output), names, walls, env, job["after_script"][0], base)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(60)
