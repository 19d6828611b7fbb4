"""A log is bounded, however often somebody has it write."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsdash.backend.system.files import bounded_log
from wsdash.backend.system.files.bounded_log import BoundedLog


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "relay.log"


@pytest.fixture
def log(file: Path, clock: Clock) -> Iterator[logging.Logger]:
    found = logging.Logger("relay")
    handler = BoundedLog(file, clock)
    found.addHandler(handler)
    error = os.dup(2)
    yield found
    os.dup2(error, 2)
    os.close(error)
    handler.close()


def test_the_same_line_is_written_once_a_minute_with_how_often_it_came(
    log: logging.Logger, file: Path, clock: Clock
) -> None:
    for _ in range(1000):
        log.warning("%s: refused", "10.0.0.1")
    log.warning("%s: refused", "10.0.0.2")
    clock.now += bounded_log.SAME_S
    log.warning("%s: refused", "10.0.0.1")
    assert file.read_text().splitlines() == [
        "10.0.0.1: refused",
        "10.0.0.2: refused",
        "10.0.0.1: refused (999 more times before)",
    ]


def test_lines_that_all_differ_are_bounded_too(log: logging.Logger, file: Path, clock: Clock) -> None:
    for number in range(10_000):
        log.warning("refused %s", number)
    assert len(file.read_text().splitlines()) == bounded_log.MOST_A_MINUTE
    clock.now += 60
    log.warning("again")
    assert file.read_text().endswith("again\n")


def test_it_is_turned_and_one_old_one_is_kept(
    log: logging.Logger, file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_log, "MOST_BYTES", 1000)
    for number in range(1000):
        clock.now += 1
        log.warning("line %s", number)
    old = file.with_suffix(".log.1")
    assert file.read_text().endswith("line 999\n")
    assert file.stat().st_size + old.stat().st_size < 2200
    assert sorted(file.parent.iterdir()) == [file, old]


def test_a_traceback_is_cut_and_a_disk_that_takes_nothing_is_no_failure(
    log: logging.Logger, file: Path
) -> None:
    try:
        raise ValueError("x" * 100_000)
    except ValueError:
        log.exception("failed")
    assert file.stat().st_size < 2 * bounded_log.LONGEST
    handler = log.handlers[0]
    assert isinstance(handler, BoundedLog)
    handler.setStream(Path("/dev/full").open("w"))  # noqa: SIM115
    log.warning("into the void")
    log.warning("there is room again")
    assert file.read_text().endswith("there is room again\n")
