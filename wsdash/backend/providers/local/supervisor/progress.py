"""The supervisor's knowledge of its job, from the job's messages. Pure; standard library only.

A job may send anything, so the stored data is bounded.
"""

from __future__ import annotations

from wsdash.backend.job.protocol import END_CAUSES, Message

MOST_STEPS = 400
_LONGEST_NAME = 80
_LONGEST_MESSAGE = 150


class Progress:
    """State, steps, readiness and the job's own reason for its end. Times are on the supervisor's clock."""

    def __init__(self) -> None:
        self.state = "starting"
        self.started_at: float | None = None
        self.ready_at: float | None = None
        self.steps: list[dict[str, object]] = []
        self.end_cause: str | None = None
        self.end_message: str | None = None

    def record(self) -> dict[str, object]:
        """Return the content of `state.json`."""
        return {
            "state": self.state,
            "started_at": self.started_at,
            "ready_at": self.ready_at,
            "steps": self.steps,
        }

    def apply(self, message: Message, now: float, log_size: int) -> bool:
        """Apply a message. Return whether anything in `record` changed."""
        if message.kind == "step":
            return self._step(message, now, log_size)
        if message.kind == "ready" and self.ready_at is None and self.state == "running":
            self.ready_at = now
            return True
        if message.kind == "end":
            cause = message.text("cause")
            self.end_cause = cause if cause in END_CAUSES else None
            self.end_message = (message.text("message") or "")[:_LONGEST_MESSAGE] or None
        return False

    def begin_step(self, phase: str, command: str | None, now: float, log_size: int) -> bool:
        """Record the start of a step. Return False if there are too many already."""
        if len(self.steps) >= MOST_STEPS:
            return False
        self.steps.append(
            {
                "phase": phase,
                "command": command,
                "started_at": now,
                "log_start": log_size,
                "ended_at": None,
                "exit_code": None,
                "log_end": None,
            }
        )
        return True

    def end_step(self, phase: str, command: str | None, exit_code: int, now: float, log_size: int) -> bool:
        """Record the end of the newest open step of that name. Return False if there is none."""
        for step in reversed(self.steps):
            if (step["phase"], step["command"], step["ended_at"]) == (phase, command, None):
                step.update(ended_at=now, exit_code=exit_code, log_end=log_size)
                return True
        return False

    def _step(self, message: Message, now: float, log_size: int) -> bool:
        phase = (message.text("phase") or "")[:_LONGEST_NAME]
        command = (message.text("command") or "")[:_LONGEST_NAME] or None
        if not phase:
            return False
        if message.text("state") == "start":
            return self.begin_step(phase, command, now, log_size)
        exit_code = message.integer("exit")
        if message.text("state") != "end" or exit_code is None or exit_code > 255:
            return False
        return self.end_step(phase, command, exit_code, now, log_size)


def beat_record(message: Message, now: float, memory: int | None, disk_free: int | None) -> dict[str, object]:
    """Return the content of `beat.json`: the supervisor's own measurements if it has them, else the job's."""
    at, active = message.number("at"), message.number("active")
    if at is not None and active is not None:
        # Both are on the job's clock, which keeps its pace when this machine's clock is set.
        active = now - max(0.0, at - active)
    return {
        "at": now,
        "load": message.number("load"),
        "memory": memory if memory is not None else message.integer("memory"),
        "disk_free": disk_free if disk_free is not None else message.integer("disk_free"),
        "active_at": active,
        "shells": message.integer("shells"),
    }
