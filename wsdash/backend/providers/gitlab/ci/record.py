"""A workspace as the message of the commit on its branch: enough to rebuild it from GitLab alone. Pure.

The list of branches contains each branch's last commit with its message, so that one request describes a
hundred workspaces. Every user who may push can write it: untrusted text, bounded and checked.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from dataclasses import asdict, dataclass, replace
from typing import Any

from wsdash.backend.clone_address import taken_out, without_secrets
from wsdash.config.values import VOLUME_PATH
from wsdash.model import Policy
from wsdash.workload import Workload

SIGN = "Wsdash-Record: "
FORMAT = 1
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
LONGEST = 200_000
"""Most characters of a record that is read."""
MOST_BYTES = 2_000_000
"""Most bytes of a record after decompression."""


class RecordError(Exception):
    """The message contains no usable record; the text says why."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The place of the workspaces' files: a folder that the runners with these tags mount into their jobs."""

    path: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """The description of a workspace in GitLab. `user` is its owner there; `host` and `store` keep it alive.

    `volume` is the place that its files got at its first start, and still have; None if they are in the cache. `image`
    is
    the context's, for jobs whose workload names none.
    """

    id: str
    name: str
    source_url: str | None
    ref: str | None
    devfile_path: str | None
    policy: Policy
    created_at: float
    user: str
    host: str
    store: str
    workload: Workload
    volume: Volume | None = None
    image: str | None = None


def message_of(record: Record) -> str:
    """Return the commit's message: a readable line, which also prevents a pipeline from starting, and the record."""
    values = {"format": FORMAT, **asdict(record)}
    packed = zlib.compress(json.dumps(values, separators=(",", ":")).encode(), 9)
    text = base64.urlsafe_b64encode(packed).decode()
    return f"Workspace {record.name} of wsdash [skip ci]\n\n{SIGN}{text}\n"


def record_of(message: str) -> Record:
    """Parse the record in a commit's message. Raises `RecordError`."""
    line = next((line for line in message.splitlines() if line.startswith(SIGN)), None)
    if line is None:
        raise RecordError("it contains no record of a workspace")
    if len(line) > LONGEST:
        raise RecordError("its record is longer than any that wsdash writes")
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.urlsafe_b64decode(line.removeprefix(SIGN).strip()), MOST_BYTES)
        if not unpacker.eof:
            raise RecordError("its record is incomplete, or larger than any that wsdash writes")
        values = json.loads(data)
    except (ValueError, binascii.Error, zlib.error, RecursionError):
        raise RecordError("its record is damaged") from None
    return _checked(values)


def _checked(values: Any) -> Record:  # noqa: ANN401
    from pydantic import TypeAdapter, ValidationError

    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise RecordError("its record was written by another version of wsdash")
    try:
        record = TypeAdapter(Record).validate_python(values)
    except (ValidationError, RecursionError):
        raise RecordError("its record has missing or wrong fields") from None
    if record.volume is not None and not VOLUME_PATH.fullmatch(record.volume.path):
        raise RecordError("its record has an invalid path for the workspace's files")
    if not _NAME.fullmatch(record.name):
        raise RecordError("its record has an invalid name of the workspace")
    # An earlier version wrote addresses as they were typed.
    source = record.source_url and without_secrets(record.source_url)
    return replace(record, source_url=source, workload=taken_out(record.workload)[0])
