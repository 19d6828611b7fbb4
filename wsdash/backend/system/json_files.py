"""Small JSON files that survive crashes and full disks. Used by the supervisor: standard library only."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from wsdash.backend.system import atomic

_LARGEST = 4 * 1024 * 1024
RESERVE = 4096
"""Bytes kept for a record that must be written even when the disk is full."""


def read(path: Path) -> dict[str, object] | None:
    """The record, or None when there is none that can be read."""
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def write(path: Path, record: Mapping[str, object], *, durable: bool = False) -> None:
    """Replaces the record at once: a reader sees the old one or the new one. Raises OSError."""
    atomic.write(path, _encode(record), durable=durable)


def reserve(path: Path) -> None:
    """Sets disk space aside for `write_reserved`. Raises OSError."""
    atomic.write(_reserve_of(path), b" " * RESERVE)


def write_reserved(path: Path, record: Mapping[str, object]) -> None:
    """`write` for a record that must not be lost: on a full disk it goes into the space set aside."""
    try:
        write(path, record, durable=True)
    except OSError:
        data = _encode(record)
        if len(data) > RESERVE:
            raise
        # JSON allows spaces after the value.
        _overwrite(_reserve_of(path), data.ljust(RESERVE))
        _reserve_of(path).replace(path)
    else:
        _reserve_of(path).unlink(missing_ok=True)


def write_in_place(path: Path, record: Mapping[str, object], size: int = 512) -> None:
    """Overwrites a record of one fixed size, which needs no space on the disk after the first time.

    A reader that meets a half-written one finds no JSON and keeps what it knew. Raises OSError.
    """
    _overwrite(path, _encode(record).ljust(size)[:size])


def _encode(record: Mapping[str, object]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()


def _reserve_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.reserve")


def _overwrite(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, data, 0)
    finally:
        os.close(descriptor)
