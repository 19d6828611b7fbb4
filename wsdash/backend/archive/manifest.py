"""`workspace.json`: the archive's description of the workspace. wsdash writes it; what is read is untrusted."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields

from wsdash.backend.archive import ArchiveError
from wsdash.model import Policy
from wsdash.workload import Workload

FILE = "workspace.json"
FORMAT = 1
LARGEST = 1024 * 1024
"""In bytes. A devfile is far smaller."""
_LONGEST_TEXT = 4096


@dataclass(frozen=True, slots=True)
class Manifest:
    """A workspace without its files, state and attempts.

    `id` and `context` are those of the exporting installation, for the record only. `exported_at` is
    in seconds since the epoch.
    """

    format: int
    id: str
    name: str
    context: str
    source: str | None
    ref: str | None
    devfile: str | None
    exported_at: float
    policy: Policy
    workload: Workload


@dataclass(frozen=True, slots=True)
class _Head:
    format: int


def dump(manifest: Manifest) -> bytes:
    """Return the manifest as indented JSON with a final newline."""
    return json.dumps(asdict(manifest), indent=2).encode() + b"\n"


def parse(data: bytes) -> Manifest:
    """Parse a manifest. Raises ArchiveError for another format, or for limits outside their bounds."""
    from pydantic import TypeAdapter, ValidationError

    try:
        version = TypeAdapter(_Head).validate_json(data).format
        if version != FORMAT:
            raise ArchiveError(f"the archive has format {version}; this version of wsdash reads {FORMAT}")
        manifest = TypeAdapter(Manifest).validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ArchiveError(f"{FILE} is invalid{f' at {place}' if place else ''}: {first['msg']}") from None
    _check_limits(manifest.policy)
    _check_texts(manifest)
    if not math.isfinite(manifest.exported_at):
        raise ArchiveError(f"{FILE} is invalid at exported_at: it is not a valid time")
    return manifest


def _check_limits(policy: Policy) -> None:
    """Check the bounds that config.toml has for the same settings."""
    for field in fields(policy):
        value = getattr(policy, field.name)
        numbers = value if isinstance(value, tuple) else () if value is None else (value,)
        numbers = tuple(n for n in numbers if isinstance(n, int | float) and not isinstance(n, bool))
        if any(not 0 < number < math.inf for number in numbers):
            raise ArchiveError(f"{FILE} is invalid at policy.{field.name}: it must be above 0")
    if policy.suspect_s >= policy.dead_s:
        raise ArchiveError(f"{FILE} is invalid at policy.suspect_s: it must be below dead_s")


def _check_texts(manifest: Manifest) -> None:
    """Refuse texts of several lines or longer than a path may be, because lists and events show them."""
    for name in ("id", "name", "context", "source", "ref", "devfile"):
        text = getattr(manifest, name) or ""
        if len(text) > _LONGEST_TEXT or not text.isprintable():
            raise ArchiveError(f"{FILE} is invalid at {name}: it must be one line of printable text")
