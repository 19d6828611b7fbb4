"""Processes that are killed at any change that they make to files, and disks as a power cut would leave them.

`Victims` starts one Python process with a shim preloaded (shim.c), which forks a child for each death. A shim is
compiled when a test needs it; without a compiler such tests are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

_SOURCE = Path(__file__).with_name("shim.c")


def compiled(folder: Path) -> Path:
    """The shim, as a shared object. Skips the test without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler (apt-get install g++)")
    shim = folder / "shim.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(shim), str(_SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return shim


class Victims:
    """Children that run a scenario of `tests.syscalls.scenarios` and die on the way."""

    def __init__(self, shim: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.syscalls.scenarios", str(shim)],
            env={**os.environ, "LD_PRELOAD": str(shim)},
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(
        self,
        scenario: str,
        home: Path,
        *,
        kill_at: int = -1,
        torn: bool = False,
        wal: bool = False,
        record: Path | None = None,
    ) -> bool:
        """Whether it came to its end. It is killed at change `kill_at`; `torn` after half of it, if it is a write.

        The changes that it makes are recorded where `record` says so.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        request = {
            "scenario": scenario,
            "home": str(home),
            "kill_at": kill_at,
            "torn": torn,
            "wal": wal,
            "record": None if record is None else str(record),
        }
        self._process.stdin.write(f"{json.dumps(request)}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer in ("ended", "killed"), f"{scenario}, change {kill_at}: {answer}"
        return answer == "ended"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a file or name.

    `w` write, `t` truncate, `s` sync, `u` unlink, `l` link, `r` rename, `c` create, `o` empty or create.
    """

    kind: str
    path: str
    offset: int
    data: bytes


def recorded(file: Path) -> list[Change]:
    """The changes that a child has recorded."""
    data, at, changes = file.read_bytes(), 0, []
    while at < len(data):
        kind, length = struct.unpack_from("<cI", data, at)
        at += 5
        path = data[at : at + length].decode()
        at += length
        offset, size = struct.unpack_from("<QI", data, at)
        at += 12
        changes.append(Change(kind.decode(), path, offset, data[at : at + size]))
        at += size
    return changes


class Disk:
    """Files, as processes see them and as they would be after a power cut."""

    def __init__(self, folder: Path) -> None:
        files = {str(file): bytearray(file.read_bytes()) for file in folder.rglob("*") if file.is_file()}
        self._names: dict[str, int] = {}
        self._seen: list[bytearray] = []
        self._durable: list[bytearray] = []
        self._durable_names: dict[str, int] = {}
        for path, content in files.items():
            self._names[path] = self._new(content)
        self._durable_names = dict(self._names)

    def apply(self, change: Change) -> None:
        path, names = change.path, self._names
        if change.kind in "wtlr" and path not in names:
            return  # a file that has no name any more
        match change.kind:
            case "c":
                names[path] = self._new(bytearray())
            case "o":
                if path in names:
                    self._seen[names[path]].clear()
                else:
                    names[path] = self._new(bytearray())
            case "w":
                content = self._seen[names[path]]
                content.extend(bytes(max(0, change.offset - len(content))))
                content[change.offset : change.offset + len(change.data)] = change.data
            case "t":
                content = self._seen[names[path]]
                content.extend(bytes(max(0, change.offset - len(content))))
                del content[change.offset :]
            case "s":
                if path in names:
                    self._durable[names[path]] = bytearray(self._seen[names[path]])
                # A journaling file system writes the names that came before with it.
                self._durable_names = dict(names)
            case "u":
                names.pop(path, None)
            case "l":
                names[change.data.decode()] = names[path]
            case "r":
                names[change.data.decode()] = names.pop(path)

    def content(self, file: Path) -> bytes:
        """As processes see it; empty where there is none."""
        number = self._names.get(str(file))
        return b"" if number is None else bytes(self._seen[number])

    def after_power_cut(self) -> Iterator[dict[str, bytes]]:
        """Possible disk states: of each file all since its last sync, or nothing of it; also with names undone.

        Names of one file have one object as their content.
        """
        pending = [number for number, seen in enumerate(self._seen) if seen != self._durable[number]]
        lost = self._files(self._names, frozenset())
        yield lost
        for number in pending:
            yield self._files(self._names, frozenset([number]))
        if len(pending) > 1:
            yield self._files(self._names, frozenset(pending))
        if self._durable_names != self._names:
            yield self._files(self._durable_names, frozenset())

    def _files(self, names: dict[str, int], kept: frozenset[int]) -> dict[str, bytes]:
        contents = {
            number: bytes(self._seen[number] if number in kept else self._durable[number])
            for number in set(names.values())
        }
        return {path: contents[number] for path, number in names.items()}

    def _new(self, content: bytearray) -> int:
        self._seen.append(content)
        self._durable.append(bytearray(content))
        return len(self._seen) - 1
