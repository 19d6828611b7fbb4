"""Small JSON files that survive crashes and full disks. Used by the supervisor: standard library only."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from wsdash.backend.system.files import atomic

_LARGEST = 4 * 1024 * 1024
RESERVE = 4096
"""Bytes reserved for a record that must be written even when the disk is full."""


def read(path: Path) -> dict[str, object] | None:
    """Return the record, or None if there is none or it is unreadable."""
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def write(path: Path, record: Mapping[str, object], *, durable: bool = False) -> None:
    """Replace the record atomically: a reader sees the old one or the new one. Raises OSError."""
    atomic.write(path, _encode(record), durable=durable)


def reserve(path: Path) -> None:
    """Reserve disk space for `write_reserved`. Raises OSError."""
    atomic.write(_reserve_of(path), b" " * RESERVE)


def write_reserved(path: Path, record: Mapping[str, object]) -> None:
    """Do the same as `write` for a record that must not be lost: on a full disk it uses the reserved space."""
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
    """Overwrite a record of a fixed size, which needs no more disk space after the first time.

    A reader that meets a half-written record finds no JSON and keeps its earlier value. Raises OSError.
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
