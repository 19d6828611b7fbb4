"""The relay's process: started on demand, replaced when its settings or its code have changed, and ended."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from wsdash.backend.access import listening
from wsdash.backend.access.grants import Grants, Unreadable
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.relay import code as relay_code
from wsdash.backend.system import environments
from wsdash.backend.system.files import atomic
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.backend.system.spawn import detach
from wsdash.config.settings import Access

log = logging.getLogger(__name__)

START_S = 10.0


class RelayProcess:
    """Starts, replaces and ends the relay. Every method blocks."""

    def __init__(self, folder: AccessFolder, settings: Access) -> None:
        self._folder = folder
        self._settings = settings

    @property
    def host(self) -> str:
        """This machine's name or address as runners see it; "" if config.toml has none."""
        return listening.plain_host(self._settings.host or "")

    def ensure(self, before_end: Callable[[], None] = lambda: None) -> None:
        """Start the relay unless it runs. It is a process of its own: connections stay when this process ends.

        One with other settings or older code is ended first, after a call of `before_end`; jobs reconnect to the new
        one.
        Raises `CannotListen` and `OSError`.
        """
        self._note_need()
        if self.is_running():
            reason = self.why_replace()
            if not reason:
                return
            self._check_other_port()
            log.info("the relay ends and another one takes its place: %s", reason)
            before_end()
            self.end()
        if not self._is_locked():
            self._start(self.port())
        elif not self._waited(lambda: False):
            raise OSError(f"the relay does not start; see {self._folder.log}")

    def _check_other_port(self) -> None:
        """A relay that runs goes on where the next one could not listen. Raises `CannotListen`."""
        port = self.port()
        if self.about().get("port") != port:
            listening.check(self._settings.bind, port)

    def why_replace(self) -> str:
        """Return the reason to replace the running relay at its next use; "" if there is none."""
        if not self.is_running():
            return ""
        want = relay_code.needed(self._settings.bind, self.port(), self.host)
        return relay_code.why_replace(self.about(), want)

    def _start(self, port: int) -> None:
        listening.check(self._settings.bind, port)
        argv = [sys.executable, "-m", "wsdash.backend.access.relay"]
        argv += [str(self._folder.root), self._settings.bind, str(port), self.host]
        started = detach(argv, log=self._folder.log, env=environments.basic(os.environ))
        # It exits at once if another relay runs, or if its port was taken meanwhile.
        if not self._waited(lambda: started.poll() is not None):
            raise OSError(f"the relay does not start; see {self._folder.log}")

    def _waited(self, has_failed: Callable[[], bool]) -> bool:
        """Return whether the relay runs within `START_S`, or before `has_failed` says that it cannot."""
        end = time.monotonic() + START_S
        while not self.is_running():
            if has_failed() or time.monotonic() > end:
                return self.is_running()
            time.sleep(0.05)
        return True

    def is_running(self) -> bool:
        """Whether the relay runs."""
        found = self.process()
        return found is not None and found.is_alive()

    def about(self) -> dict[str, Any]:
        """Return the relay's description of itself; empty if none has ever run."""
        try:
            found = json.loads(self._folder.about.read_text())
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def process(self) -> ProcessIdentity | None:
        """Return the process of the relay, which may have ended."""
        found = self.about().get("process")
        return ProcessIdentity.from_record(found if isinstance(found, dict) else None)

    def end(self) -> bool:
        """End the relay; return whether it has ended within `START_S`. Jobs reconnect to the next one."""
        process = self.process()
        if process is not None:
            process.send(signal.SIGTERM)
        end = time.monotonic() + START_S
        while self._is_locked():
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def _is_locked(self) -> bool:
        try:
            with self._folder.lock.open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def problem(self) -> listening.CannotListen | None:
        """Return the reason why no relay can listen with the present settings; None if one runs or can."""
        try:
            if self.is_running():
                self._check_other_port()
            elif self.known_port() and not self._is_locked():
                listening.check(self._settings.bind, self.port())
        except listening.CannotListen as error:
            return error
        return None

    def _note_need(self) -> None:
        """Record the need for the relay, which otherwise ends after a while."""
        with suppress(OSError):
            self._folder.needed.touch(mode=0o600)
            os.utime(self._folder.needed)

    # --- its port -------------------------------------------------------------------------------

    def port(self) -> int:
        """Return the configured port, else one that was chosen once, as running jobs use it. Raises `OSError`."""
        if self._settings.port:
            return self._settings.port
        kept = self._kept_port()
        if kept and (kept not in listening.ephemeral_ports() or self.is_running() or self._is_of_use(kept)):
            return kept
        port = listening.choose_port(self._settings.bind, listening.ephemeral_ports())
        atomic.write(self._folder.root / "port", f"{port}\n".encode())
        return port

    def known_port(self) -> int:
        """Return the configured port, or the chosen one; 0 if none was chosen yet."""
        return self._settings.port or self._kept_port()

    def _kept_port(self) -> int:
        try:
            return int((self._folder.root / "port").read_text())
        except (OSError, ValueError):
            return 0

    def _is_of_use(self, port: int) -> bool:
        """Return whether a port in the range of outgoing connections is still useful: a job uses it, and it is free."""
        try:
            if not Grants(self._folder.grants).all():
                return False
            listening.check(self._settings.bind, port)
        except Unreadable:
            return True
        except OSError:
            return False
        return True
