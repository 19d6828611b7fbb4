"""The process that supervises one job: starts it, writes its log and state, ends it, records its end.

It outlives the process that launched it. One attempt has one supervisor, ever: it holds the lock of the attempt's
folder for its life, and none starts in a folder where an earlier one has run. Started by `spawn.py`; standard
library only, because a hundred of them may run.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from pathlib import Path

from wsdash.backend.job.protocol import Message, Splitter, killed_by
from wsdash.backend.providers.local.layout import JobFiles
from wsdash.backend.providers.local.supervisor import notify, proc, process_tree
from wsdash.backend.providers.local.supervisor.job_log import JobLog
from wsdash.backend.providers.local.supervisor.marks import Mark
from wsdash.backend.providers.local.supervisor.memory import OomKills
from wsdash.backend.providers.local.supervisor.progress import Progress, beat_record
from wsdash.backend.system.files import json_files
from wsdash.backend.system.processes import ProcessIdentity

TYPE_CHECKING = False  # mypy knows this name; supervisors avoid `typing`, which is slow to import
if TYPE_CHECKING:
    from wsdash.backend.providers.local.supervisor.stage import Stage

_CHUNK = 256 * 1024
_WRITE_EVERY_S = 0.02
_LEFTOVER_S = 1.0
"""Seconds from TERM to KILL for leftover processes, after the job's main process has ended on request."""
_LONGEST_END_S = 10.0
_UNASKED_GRACE_S = 10.0
"""The grace period in seconds for a TERM without a `cancel.json`, for example when the machine shuts down."""


class Supervisor:
    """Runs the stages of one attempt, one after the other, and records the results."""

    def __init__(
        self, files: JobFiles, spec: dict[str, object], listeners: Path, environ: dict[str, str]
    ) -> None:
        self._environ = environ
        self._files = files
        self._listeners = listeners
        self._attempt_id = str(spec["attempt"])
        self._folder = str(spec["folder"])
        self._stages: list[Stage] = spec["stages"]  # type: ignore[assignment]
        self._cleanup: list[list[str]] = spec["cleanup"]  # type: ignore[assignment]
        self._measures = bool(spec["measures"])
        self._log = JobLog(files.log)
        self._splitter = Splitter()
        self._progress = Progress()
        self._state_written = 0.0
        self._state_due: float | None = None
        self._beat_written: float | None = None
        self._oom = OomKills()
        self._asked = False
        self._was_killed_by_us = False
        self._kill_at: float | None = None
        self._main: int | None = None
        self._main_signalled = False
        self._output: int | None = None
        self._wake, self._wake_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    # --- the run --------------------------------------------------------------------------------

    def listen_to_signals(self) -> None:
        """Handle TERM, which requests the end as `cancel.json` says. Ignore hangup and interrupt."""
        signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.signal(signal.SIGTERM, lambda _number, _frame: self._ask(_UNASKED_GRACE_S))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def run(self) -> None:
        """Run from the first stage to the record of the end. Never raises because of a job's behaviour."""
        if self._files.cancel.exists():
            self._ask(0.0)
        self._notify()
        try:
            ending = self._run_stages()
        except Exception as error:
            ending = {
                "exit_code": None,
                "cause": "runner-lost",
                "message": f"the supervisor failed: {error!r}",
            }
        left = self._end_everything()
        if left:
            ending["message"] = f"{ending['message']}\nStill running, and cannot be ended: {left}"
        self._progress.state = "ended"
        self._save_state()
        json_files.write_reserved(self._files.exit, {**ending, "at": time.time()})
        self._notify()

    def _ask(self, default_grace_s: float) -> None:
        """Record that the job is to end; a shorter grace period than before replaces it."""
        request = json_files.read(self._files.cancel) or {}
        grace_s = request.get("grace_s", default_grace_s)
        grace_s = float(grace_s) if isinstance(grace_s, int | float) else default_grace_s
        kill_at = time.monotonic() + grace_s
        self._kill_at = kill_at if self._kill_at is None else min(self._kill_at, kill_at)
        self._asked = True

    def _run_stages(self) -> dict[str, object]:
        stage, status = self._stages[0], 0
        for stage in self._stages:
            if self._asked:
                break
            status = self._run_stage(stage)
            if status != 0 or self._progress.end_cause:
                break
        return self._ending(stage, status)

    def _ending(self, stage: Stage, status: int) -> dict[str, object]:
        message_of_job = self._progress.end_message
        message: str | None
        if self._asked:
            killed = (
                "it did not end within the grace period and was killed" if self._was_killed_by_us else None
            )
            cause, message = "cancelled", message_of_job or killed or "ended on request"
        elif status > 128:
            cause = "killed"
            end = "out of memory: killed by signal 9" if self._ran_out_of_memory(stage, status) else ""
            message = "\n".join(
                filter(None, (self._log.last_words(own_error=False), end or killed_by(status)))
            )
        elif self._progress.end_cause and (status == 0 or self._progress.end_cause == "image"):
            cause, message = self._progress.end_cause, message_of_job or self._log.last_words(own_error=True)
        else:
            cause = stage["causes"].get(str(status), stage["otherwise"])
            message = self._log.last_words(own_error=True)
        return {"exit_code": status, "cause": cause, "message": message}

    def _ran_out_of_memory(self, stage: Stage, status: int) -> bool:
        """Whether the memory limit was reached: by a container's own engine, else by the cgroup's counter."""
        if status != 128 + signal.SIGKILL:
            return False
        if stage["oom_asked"]:
            return self._answer(stage["oom_asked"]).strip() == b"true"
        return self._oom.has_grown()

    # --- one stage ------------------------------------------------------------------------------

    def _run_stage(self, stage: Stage) -> int:
        if stage["empties"]:
            from wsdash.backend.providers.local.files.remove import empty

            for folder in stage["empties"]:
                empty(Path(folder))
        for line in stage["notes"]:
            self._log.note(line)
        self._log.begin_stage()
        if stage["is_job"]:
            self._progress.state = "running"
            self._progress.started_at = time.time()
        if stage["step"]:
            self._progress.begin_step(stage["step"], None, time.time(), self._log.size)
        self._changed()
        status = self._spawn_and_tend(stage)
        if stage["step"]:
            self._progress.end_step(stage["step"], None, status, time.time(), self._log.size)
            self._changed()
        return status

    def _spawn_and_tend(self, stage: Stage) -> int:
        self._output, inlet = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._output, False)
        info, info_inlet = os.pipe2(os.O_CLOEXEC)
        try:
            self._main = self._spawn(stage, inlet, info_inlet)
            os.close(info_inlet)
            info_inlet = -1
            if stage["info_fd"] is not None:
                self._note_sandbox(info)
            os.close(inlet)
            inlet = -1
            return self._tend()
        except OSError as error:
            self._log.note(f"cannot run {stage['argv'][0]}: {error.strerror}")
            return 127
        finally:
            for descriptor in (inlet, info, info_inlet):
                if descriptor >= 0:
                    os.close(descriptor)
            self._end_children_of_stage()

    def _spawn(self, stage: Stage, inlet: int, info_inlet: int) -> int:
        inherited = self._environ if stage["env"] is None else stage["env"]
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, inlet, 1),
            (os.POSIX_SPAWN_DUP2, inlet, 2),
        ]
        if stage["info_fd"] is not None:
            actions.append((os.POSIX_SPAWN_DUP2, info_inlet, stage["info_fd"]))
        return os.posix_spawnp(
            stage["argv"][0],
            stage["argv"],
            {**inherited, **stage["adds"]},
            file_actions=actions,
            # Ignored by this process, which a job must not inherit.
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT],
        )

    def _note_sandbox(self, info: int) -> None:
        """Record the sandbox's first process, by which a shell joins its namespaces."""
        text = b""
        while select.select([info], [], [], _LONGEST_END_S)[0] and (chunk := os.read(info, 4096)):
            text += chunk
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            inner = ProcessIdentity.of(json.loads(text)["child-pid"])
            if inner is not None:
                json_files.write(self._files.sandbox, inner.record())

    def _tend(self) -> int:
        """Read the main process's output until it ends or must be ended. Return its status as a shell does."""
        while True:
            statuses, _ = process_tree.reap()
            if self._main in statuses:
                code = os.waitstatus_to_exitcode(statuses[self._main])
                return code if code >= 0 else 128 - code
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._was_killed_by_us = True
                return 128 + signal.SIGKILL
            if self._asked and not self._main_signalled:
                self._terminate_main()
            self._pause(self._until_next())

    def _terminate_main(self) -> None:
        """Send TERM to the job's own shell. In a sandbox, a TERM to the sandbox would end the shell at once."""
        self._main_signalled = True
        self._progress.state = "ending"
        self._changed()
        inner = ProcessIdentity.from_record(json_files.read(self._files.sandbox))
        inside = proc.children(inner.pid) if inner is not None and inner.is_alive() else []
        for pid in inside[:1] or [self._main or 0]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _end_children_of_stage(self) -> None:
        asked_kindly = self._asked and self._kill_at is not None and time.monotonic() < self._kill_at
        process_tree.end_children(_LEFTOVER_S if asked_kindly else 0.0, _LONGEST_END_S, self._pause)
        while self._output is not None and self._read_once():
            pass
        self._close_output()
        self._log.write(self._splitter.flush())
        self._main, self._main_signalled = None, False

    def _end_everything(self) -> list[int]:
        for argv in self._cleanup:
            self._answer(argv)
        return process_tree.end_children(0.0, _LONGEST_END_S, self._pause) + process_tree.end_marked(
            Mark.of(self._files), _LONGEST_END_S
        )

    def _answer(self, argv: list[str]) -> bytes:
        """Return the output of one of wsdash's commands, as far as it arrives in time."""
        outlet, inlet = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, inlet, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        try:
            pid = os.posix_spawnp(argv[0], argv, self._environ, file_actions=actions)
            give_up = time.monotonic() + _LONGEST_END_S
            while pid not in process_tree.reap()[0] and time.monotonic() < give_up:
                self._pause(0.1)
            return os.read(outlet, 4096)
        except OSError:
            return b""
        finally:
            os.close(inlet)
            os.close(outlet)

    # --- input ---------------------------------------------------------------------------------

    def _pause(self, timeout: float | None) -> None:
        """Wait for output, a signal or the timeout, and process what arrived."""
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        if self._output is not None:
            poller.register(self._output, select.POLLIN)
        ready = {number for number, _ in poller.poll(None if timeout is None else timeout * 1000 + 1)}
        if self._wake in ready:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._wake, 512):
                    pass
        if self._output in ready:
            self._read_once()
        if self._state_due is not None and time.monotonic() >= self._state_due:
            self._save_state()

    def _until_next(self) -> float | None:
        instants = [at for at in (self._kill_at, self._state_due) if at is not None]
        return max(0.0, min(instants) - time.monotonic()) if instants else None

    def _read_once(self) -> bool:
        """Read one chunk of output. Return False if there is none now."""
        assert self._output is not None
        try:
            data = os.read(self._output, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._close_output()
            return False
        for part in self._splitter.feed(data):
            if isinstance(part, bytes):
                self._log.write(part)
            else:
                self._take(part)
        return True

    def _close_output(self) -> None:
        if self._output is not None:
            os.close(self._output)
            self._output = None

    def _take(self, message: Message) -> None:
        if message.kind == "beat":
            self._save_beat(message)
        elif self._progress.apply(message, time.time(), self._log.size):
            self._changed()

    # --- output --------------------------------------------------------------------------------

    def _save_beat(self, message: Message) -> None:
        now, first = time.monotonic(), self._beat_written is None
        if self._beat_written is not None and now - self._beat_written < _WRITE_EVERY_S:
            return
        self._beat_written = now
        self._oom.begin()
        memory = proc.resident_bytes(proc.descendants(os.getpid())) if self._measures else None
        disk = os.statvfs(self._folder)
        record = beat_record(message, time.time(), memory, disk.f_bavail * disk.f_frsize)
        with contextlib.suppress(OSError):
            json_files.write_in_place(self._files.beat, record)
        if first:
            self._notify()

    def _changed(self) -> None:
        """Write the state and notify listeners: at once, but less often for a job that sends many messages."""
        if self._state_due is None:
            self._state_due = max(time.monotonic(), self._state_written + _WRITE_EVERY_S)
        if time.monotonic() >= self._state_due:
            self._save_state()

    def _save_state(self) -> None:
        self._state_due = None
        self._state_written = time.monotonic()
        with contextlib.suppress(OSError):
            json_files.write(self._files.state, self._progress.record())
        self._notify()

    def _notify(self) -> None:
        notify.send(self._listeners, self._attempt_id)
