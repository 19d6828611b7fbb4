"""A runner's reports to GitLab on a job (log patches, keep-alive, end), and the answers.

GitLab Runner's `network/gitlab.go` and `network/trace.go`.
"""

from __future__ import annotations

import threading
import time
import zlib
from typing import Any

import requests

LARGEST_PATCH = 1024 * 1024
TOUCH_S = 30.0
LIMIT = 4 * 1024 * 1024
"""Bytes after which a log takes no more, though the job goes on."""


class Reporter:
    """Sends one job's log in a thread of its own. `cancelled` and `aborted` are what GitLab has answered."""

    def __init__(self, url: str, payload: dict[str, Any]) -> None:
        self._job = f"{url}/api/v4/jobs/{payload['id']}"
        self._token = payload["token"]
        self._log = bytearray()
        self._sent = 0
        self._interval = 0.2
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_sending, daemon=True)
        self._contacted_at = time.monotonic()
        self.cancelled = threading.Event()
        self.aborted = threading.Event()
        self._thread.start()

    def write(self, data: bytes) -> None:
        with self._lock:
            self._log += data[: max(0, LIMIT - len(self._log))]

    def say(self, text: str) -> None:
        self.write(text.encode() + b"\n")

    def finish(self, state: str, reason: str | None, exit_code: int | None) -> None:
        """Send what is left, then the end; asked again until GitLab has taken it."""
        self._ended.set()
        self._thread.join()
        body: dict[str, Any] = {"token": self._token, "state": state}
        if reason is not None:
            body["failure_reason"] = reason
        if exit_code is not None:
            body["exit_code"] = exit_code
        while not self.aborted.is_set():
            self._send()
            body["output"] = {"checksum": f"crc32:{zlib.crc32(self._log):08x}", "bytesize": len(self._log)}
            try:
                answer = requests.put(self._job, json=body, timeout=30)
            except requests.RequestException:
                time.sleep(1.0)
                continue
            if answer.status_code not in (202, 412, 429, 500, 502, 503):
                return
            if answer.status_code == 412:
                self._sent = 0
            time.sleep(0.2)

    def _keep_sending(self) -> None:
        while not self._ended.wait(self._interval):
            self._send()
            if time.monotonic() - self._contacted_at > TOUCH_S:
                self._touch()

    def _send(self) -> None:
        with self._lock:
            data = bytes(self._log[self._sent : self._sent + LARGEST_PATCH])
        if not data:
            # An empty patch is how a cancel is heard of between two lines of the log.
            self._touch()
            return
        headers = {
            "JOB-TOKEN": self._token,
            "Content-Range": f"{self._sent}-{self._sent + len(data) - 1}",
            "Content-Type": "text/plain",
        }
        try:
            answer = requests.patch(f"{self._job}/trace", data=data, headers=headers, timeout=30)
        except requests.RequestException:
            return
        self._contacted_at = time.monotonic()
        if answer.status_code == 202:
            self._sent += len(data)
        elif answer.status_code == 416:
            self._sent = int(answer.headers["Range"].partition("-")[2])
        self._hear(answer)

    def _touch(self) -> None:
        try:
            answer = requests.put(self._job, json={"token": self._token, "state": "running"}, timeout=30)
        except requests.RequestException:
            return
        self._contacted_at = time.monotonic()
        self._hear(answer)

    def _hear(self, answer: requests.Response) -> None:
        status = answer.headers.get("Job-Status", "")
        if answer.status_code == 403 or status in ("canceled", "failed"):
            self.aborted.set()
        elif status == "canceling":
            self.cancelled.set()
