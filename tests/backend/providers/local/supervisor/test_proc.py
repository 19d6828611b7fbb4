"""The processes below another one, and their memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.waiting import until_sync
from wsdash.backend.providers.local.supervisor import proc
from wsdash.backend.system.processes import read_file

GONE = 2**22 + 1
"""No pid: the kernel gives none above 2**22 (proc(5), pid_max)."""


@pytest.fixture
def shell() -> Iterator[int]:
    """A shell with a shell below it, which has a child of its own."""
    inner = "sh -c 'sleep 600 & wait' & wait"
    with subprocess.Popen(["sh", "-c", inner]) as started:
        until_sync(lambda: len(proc.descendants(started.pid)) == 2, what="both descendants")
        yield started.pid
        for pid in (*proc.descendants(started.pid), started.pid):
            os.kill(pid, 9)


def test_descendants_are_parents_before_their_children(shell: int) -> None:
    child, grandchild = proc.descendants(shell)
    assert proc.children(shell) == [child]
    assert proc.children(child) == [grandchild]
    assert {shell, child, grandchild} <= set(proc.all_pids())


def test_a_kernel_without_files_of_children_is_asked_for_parents(
    shell: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = proc.descendants(shell)

    def missing(path: str) -> bytes:
        if path.endswith("/children"):
            raise FileNotFoundError(path)
        return read_file(path)

    monkeypatch.setattr(proc, "read_file", missing)
    monkeypatch.setattr(proc, "_has_children_files", lambda: False)
    assert proc.descendants(shell) == expected


def test_a_process_that_is_gone_has_no_children_and_no_memory(shell: int) -> None:
    assert proc.children(GONE) == proc.descendants(GONE) == []
    assert proc.resident_bytes([GONE]) == 0
    one = proc.resident_bytes([shell])
    assert proc.resident_bytes([shell, GONE]) == pytest.approx(one, rel=0.5)
    assert one > 0
