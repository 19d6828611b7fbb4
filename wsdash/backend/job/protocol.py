"""The protocol between Python and a job's shell: messages, states, facts, commands and variables.

`job.sh` writes messages to its standard output, between the lines of the log.

A line is `wsdash/1 KIND {json}`, at most 200 bytes with its newline, so that one write to a pipe is atomic. It
may follow output that ended without a newline (a progress bar), so a message may begin anywhere in a line.
Everything here reads text that a job may have forged: a job can only lie about itself.

Standard library only, and few modules: every job's supervisor loads this file.
"""

from __future__ import annotations

import json

MARK = b"wsdash/1 "
LINE_LIMIT = 200
KINDS = ("beat", "step", "ready", "end")

EXIT_DONE = 0
EXIT_USAGE = 64
EXIT_SOURCE_FAILED = 75
"""`job.sh fetch`: the source could not be fetched now; a retry may succeed."""
EXIT_CONFIGURATION = 78
"""`job.sh fetch`: a retry will not help: no git, no such repository, no such ref."""

END_CAUSES = ("deadline", "cancelled", "image")
"""Causes that a job may report for its own end."""


RUNNING_STATES = ("queued", "fetching", "starting", "ready", "ending")
FINAL_STATES = ("deadline", "cancelled", "source", "image", "configuration", "user-code")
"""States of a job, in the order in which it passes through them; the last one is the reason for its end."""

FACTS = frozenset(
    {
        "config",
        "owner",
        "via",
        "started",
        "failed",
        "ssh",
        "state",
        "from",
        "left",
        "aside",
        "kept",
        "saved",
        "by",
        "remote",
        "tunnel",
    }
) | frozenset(
    {"unsaved", "run", "debug", "cache", "volume", "import", "active", "shells", "load", "memory", "disk"}
)
"""Names of the facts in a heartbeat, written as `NAME=VALUE` in the name of the pipeline."""
FACTS_BEFORE = {"deposit": "remote"}
"""Old names of facts, from jobs that the previous version launched, with their present names."""

HEARTBEATS = "wsdash-heartbeats"
HEARTBEATS_BEFORE = "wsdash-pulse"
"""The old name of the command `HEARTBEATS`, for jobs that the previous version launched."""
CHECKPOINT = "wsdash-checkpoint"
CREDENTIALS = "wsdash-credentials"
KEYS = "wsdash-keys"
LISTENING = "wsdash-listening"
RELAY = "wsdash-relay"
SHELLS = "wsdash-shells"
STOP = "wsdash-stop"
COMMANDS = frozenset({HEARTBEATS, CHECKPOINT, CREDENTIALS, KEYS, LISTENING, RELAY, SHELLS, STOP})
"""The commands of the tunnel: what `tunnel.sh enter` runs in place of a session."""

ENVIRONMENT = (
    frozenset({"WSDASH_WORKSPACE", "WSDASH_ATTEMPT", "WSDASH_BEAT_S", "WSDASH_DEADLINE"})
    | frozenset({"WSDASH_KEEP_AWAKE", "WSDASH_IDLE_CPU", "WSDASH_EDITOR", "WSDASH_MACHINE", "WSDASH_SOURCE"})
    | frozenset(
        {"WSDASH_CONFIG", "WSDASH_OWNER", "WSDASH_RESTORE_FROM", "WSDASH_VOLUME", "WSDASH_ENCRYPT_CACHE"}
    )
    | frozenset({"WSDASH_CHECKPOINT", "WSDASH_CHECKPOINT_S", "WSDASH_SAVE_S", "WSDASH_CREDENTIALS"})
    | frozenset({"WSDASH_REMOTE_CHECKPOINTS", "WSDASH_REMOTE_CHECKPOINT_S", "WSDASH_SCRIPTS"})
    | frozenset({"WSDASH_RELAY", "WSDASH_RELAY_KEY", "WSDASH_USER_KEY"})
    | frozenset({"WSDASH_ID_TOKEN", "WSDASH_ONE_TIME_SECRET"})
)
"""Variables that Python passes to the scripts, or reads from them."""


def killed_by(status: int) -> str:
    """Describe an exit status above 128, with which a shell or a container engine reports that a signal ended a
    process.
    """
    return f"killed by signal {status - 128}"


class Message:
    """One line of the protocol: a kind of `KINDS`, and its JSON object."""

    __slots__ = ("fields", "kind")

    def __init__(self, kind: str, fields: dict[str, object]) -> None:
        self.kind = kind
        self.fields = fields

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and (self.kind, self.fields) == (other.kind, other.fields)

    def __hash__(self) -> int:
        return hash(self.kind)

    def __repr__(self) -> str:
        return f"Message({self.kind!r}, {self.fields!r})"

    def number(self, name: str) -> float | None:
        """Return a finite number at least 0 and below 2^63, None if the field is anything else."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**63:
            return None
        return value

    def integer(self, name: str) -> int | None:
        """Return `number` without its fraction."""
        value = self.number(name)
        return None if value is None else int(value)

    def text(self, name: str) -> str | None:
        """Return a text, None if the field is anything else or empty."""
        value = self.fields.get(name)
        return value if isinstance(value, str) and value else None


def parse(line: bytes) -> Message | None:
    """Parse the message in a line (without its newline); None for any other line. Never raises."""
    if len(line) >= LINE_LIMIT or not line.startswith(MARK):
        return None
    kind, _, body = line[len(MARK) :].partition(b" ")
    name = kind.decode("ascii", "replace")
    if name not in KINDS:
        return None
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return Message(name, fields) if isinstance(fields, dict) else None


class Splitter:
    """Splits a job's output into log text and messages, in order."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[bytes | Message]:
        """Return the parts of the output so far. A few bytes that may begin a message are held for the next
        call.
        """
        data = self._held + data
        parts: list[bytes | Message] = []
        start = at = 0
        while (at := data.find(MARK, at)) >= 0:
            end = data.find(b"\n", at, at + LINE_LIMIT)
            if end < 0 and len(data) - at < LINE_LIMIT:
                break
            message = parse(data[at:end]) if end >= 0 else None
            if message is None:
                at += len(MARK)
                continue
            if at > start:
                parts.append(data[start:at])
            parts.append(message)
            start = at = end + 1
        hold = at if at >= 0 else len(data) - _begun(data[start:])
        if hold > start:
            parts.append(data[start:hold])
        self._held = data[hold:]
        return parts

    def flush(self) -> bytes:
        """Return the held bytes when the output has ended."""
        held, self._held = self._held, b""
        return held


def _begun(data: bytes) -> int:
    """Return how many of the last bytes may be the beginning of `MARK`."""
    for length in range(min(len(MARK) - 1, len(data)), 0, -1):
        if MARK.startswith(data[-length:]):
            return length
    return 0
