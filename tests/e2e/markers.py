"""Secrets that can be told apart, and every place where one of them may have gone."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.gitlab_server import GitLabServer
from wsdash.backend.providers.gitlab.ci.record import RecordError, record_of


class Watch:
    """Looks at the arguments of every process of the machine, and at the environment of wsdash's own that stay.

    Programs in `folder`, to stand first in PATH, write down the arguments of every Git: some live for an instant.
    """

    def __init__(self, folder: Path, markers: Mapping[str, str]) -> None:
        self._markers = {name: marker.encode() for name, marker in markers.items()}
        self._told = folder / "arguments"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._found: set[str] = set()
        self.programs = folder / "programs"
        self.programs.mkdir(parents=True)
        git = self.programs / "git"
        git.write_text(f'#!/bin/sh\nprintf "%s " git "$@" >>{self._told}\nexec {shutil.which("git")} "$@"\n')
        git.chmod(0o755)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def found(self) -> list[str]:
        """The places of markers, each once."""
        output = self._told.read_bytes() if self._told.exists() else b""
        return sorted(self._found | {f"{name} in the arguments of git" for name in self._in(output)})

    def _in(self, data: bytes) -> Iterable[str]:
        return [name for name, marker in self._markers.items() if marker in data]

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            for process in os.listdir("/proc"):  # noqa: PTH208
                if process.isdigit():
                    self._look_at(process)

    def _look_at(self, process: str) -> None:
        argv = _read(f"/proc/{process}/cmdline")
        typed = b"\0wsdash\0create\0" in argv  # by the user
        for name in () if typed else self._in(argv):
            self._found.add(f"{name} in the arguments of {argv[:200]!r}")
        stays = (b"\0daemon\0--idle-exit", b"access.relay", b"wsdash.backend.providers.local")
        if any(word in argv for word in stays) and argv == _read(f"/proc/{process}/cmdline"):
            for name in self._in(_read(f"/proc/{process}/environ")):
                self._found.add(f"{name} in the environment of {argv[:200]!r}")


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def in_files(folder: Path, markers: Mapping[str, str], allowed: Iterable[str]) -> list[str]:
    """Files with a marker in them, but for those that a pattern allows (`Path.match`)."""
    found: list[str] = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or any(path.match(pattern) for pattern in allowed):
            continue
        data = _read(str(path))
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        found += [
            f"{name} in {path.relative_to(folder)}"
            for name, marker in markers.items()
            if marker.encode() in data or marker in path.name
        ]
    return found


def at_gitlab(server: GitLabServer, markers: Mapping[str, str]) -> list[str]:
    """Markers in its repositories, the records of commits, its logs and its pipelines' names."""
    texts: dict[str, str] = {}
    for project in server.state.projects.values():
        folder = project.repository.folder
        done = subprocess.run(
            ["git", "log", "--all", "--patch", "--format=%H%n%B", "--text"],
            cwd=folder,
            capture_output=True,
            check=True,
        )
        texts[f"a branch of {project.path}"] = done.stdout.decode(errors="replace")
        messages = subprocess.run(
            ["git", "log", "--all", "-z", "--format=%B"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\0")
        for message in messages:
            try:
                texts[f"a record in {project.path}"] = texts.get(f"a record in {project.path}", "") + repr(
                    record_of(message)
                )
            except RecordError:
                continue
    for job in server.state.jobs.values():
        texts[f"the log of job {job.id}"] = job.trace.decode(errors="replace")
        texts[f"the variables of job {job.id}"] = repr(
            (job.config, job.pipeline.name, job.pipeline.variables)
        )
    return [
        f"{name} in {where}"
        for where, text in texts.items()
        for name, marker in markers.items()
        if marker in text
    ]
