"""One job in GitLab Runner's order: restore the cache, script, after_script, save the cache, tell the end."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from tests.gitlab_runner import cache
from tests.gitlab_runner.reporting import Reporter

KILL_S = 10.0
"""From the TERM to the KILL of a script that was cancelled or has taken too long."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def run_job(
    payload: dict[str, Any],
    folder: Path,
    slot: int,
    reporter: Reporter,
    stopping: threading.Event,
    *,
    keeps_folders: bool = False,
) -> None:
    """Run it to its end, and report that."""
    try:
        Job(payload, folder, slot, reporter, stopping, keeps_folders=keeps_folders).run()
    except Exception as error:
        reporter.say(f"ERROR: Job failed (system failure): {error}")
        reporter.finish("failed", "runner_system_failure", None)


class Job:
    def __init__(
        self,
        payload: dict[str, Any],
        folder: Path,
        slot: int,
        reporter: Reporter,
        stopping: threading.Event,
        *,
        keeps_folders: bool = False,
    ) -> None:
        self._keeps_folders = keeps_folders
        self._payload = payload
        self._reporter = reporter
        self._stopping = stopping
        path = payload["job_info"]["project_full_path"]
        self._builds = folder / "builds" / str(slot)
        self._directory = self._builds / path
        self._cache = folder / "cache" / path
        self._variables = {v["key"]: v["value"] for v in payload["variables"]}
        self._deadline = time.monotonic() + payload["runner_info"]["timeout"]

    def run(self) -> None:
        reporter = self._reporter
        reporter.say("\x1b[0KRunning with gitlab-runner of the tests\x1b[0;m")
        self._prepare()
        for entry in self._payload["cache"]:
            cache.restore(entry, self._directory, self._cache, reporter.say)
        limit = self._limit("RUNNER_SCRIPT_TIMEOUT", None)
        outcome, exit_code = self._step("script", limit)
        if outcome == "aborted":
            reporter.finish("failed", "runner_system_failure", None)
            return
        if outcome == "timeout of the job":
            reporter.say("ERROR: Job failed: execution took longer than its timeout")
            reporter.finish("failed", "job_execution_timeout", None)
            return
        statuses = {
            "success": "success",
            "failed": "failed",
            "cancelled": "canceled",
            "timed out": "timedout",
        }
        self._variables["CI_JOB_STATUS"] = statuses[outcome]
        self._step("after_script", self._limit("RUNNER_AFTER_SCRIPT_TIMEOUT", 300.0), is_after=True)
        for entry in self._payload["cache"]:
            if entry["when"] in ("always", "on_success" if outcome == "success" else "on_failure"):
                cache.save(entry, self._directory, self._cache, reporter.say)
        if outcome == "success":
            reporter.say("Job succeeded")
            reporter.finish("success", None, 0)
        elif outcome == "timed out":
            reporter.say("ERROR: Job failed: script timed out")
            reporter.finish("failed", "job_execution_timeout", None)
        else:
            reporter.say(f"ERROR: Job failed: exit status {exit_code}")
            reporter.finish("failed", "script_failure", exit_code)

    def _prepare(self) -> None:
        """GIT_STRATEGY none leaves what is there: what the shell executor has kept, or nothing in a fresh container."""
        if not self._keeps_folders:
            shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True, exist_ok=True)
        if self._variables.get("GIT_STRATEGY", "fetch") in ("none", "empty"):
            self._reporter.say("Skipping Git repository setup")
            return
        git = self._payload["git_info"]
        subprocess.run(
            ["git", "clone", "--quiet", git["repo_url"], self._directory], check=True, capture_output=True
        )
        subprocess.run(["git", "-C", self._directory, "checkout", "--quiet", git["sha"]], check=True)

    def _limit(self, name: str, usual: float | None) -> float | None:
        found = _DURATION.findall(self._variables.get(name, ""))
        return sum(float(number) * _UNITS[unit] for number, unit in found) if found else usual

    def _step(self, name: str, limit: float | None, *, is_after: bool = False) -> tuple[str, int | None]:
        step = next((step for step in self._payload["steps"] if step["name"] == name), None)
        if step is None:
            return "success", 0
        self._reporter.say(f"section_start:{int(time.time())}:{name}\r\x1b[0KExecuting {name}")
        process = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._directory,
            env=self._environment(),
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(_script(step["script"]).encode("utf-8", "surrogateescape"))
        process.stdin.close()
        reading = threading.Thread(target=self._read, args=(process,))
        reading.start()
        outcome = self._watch(process, reading, limit, is_after=is_after)
        self._reporter.say(f"section_end:{int(time.time())}:{name}\r\x1b[0K")
        if outcome:
            return outcome, None
        return ("success" if process.returncode == 0 else "failed"), process.returncode

    def _watch(
        self,
        process: subprocess.Popen[bytes],
        reading: threading.Thread,
        limit: float | None,
        *,
        is_after: bool,
    ) -> str:
        """Wait for the step's end, or end it; empty when it ended by itself.

        A step lasts until its output is closed, so also while something that it started still writes.
        """
        started = time.monotonic()
        while reading.is_alive() or process.poll() is None:
            now = time.monotonic()
            if self._reporter.aborted.is_set() or self._stopping.is_set():
                _end(process, reading, 0.0)
                return "aborted"
            if now > self._deadline:
                _end(process, reading, 0.0)
                return "timeout of the job"
            if self._reporter.cancelled.is_set() and not is_after:
                _end(process, reading, KILL_S)
                return "cancelled"
            if limit is not None and now - started > limit:
                _end(process, reading, KILL_S)
                return "timed out"
            reading.join(0.05)
        process.wait()
        return ""

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        while data := os.read(process.stdout.fileno(), 65536):
            self._reporter.write(data)

    def _environment(self) -> dict[str, str]:
        home = self._builds / "home"
        home.mkdir(parents=True, exist_ok=True)
        own = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "CI_PROJECT_DIR": str(self._directory),
            "CI_BUILDS_DIR": str(self._builds),
            "CI_JOB_STATUS": "running",
            "CI_SHARED_ENVIRONMENT": "true",
        }
        raw = {v["key"] for v in self._payload["variables"] if v.get("raw")}
        known = {**self._variables, **own}
        expanded = {
            name: value if name in raw else _expanded(value, known) for name, value in self._variables.items()
        }
        return {**expanded, **own, "CI_JOB_STATUS": self._variables.get("CI_JOB_STATUS", "running")}


def _script(lines: list[str]) -> str:
    """As the runner's bash scripts: errors end it, each command is shown by its first line."""
    parts = ["set -eo pipefail", "set +o noclobber"]
    for line in lines:
        first, _, rest = line.partition("\n")
        shown = first + (" # collapsed multi-line command" if rest else "")
        quoted = shown.replace("'", "'\\''")
        parts += [f"printf '\\033[32;1m$ %s\\033[0;m\\n' '{quoted}'", line]
    # The whole is read before it runs: a command that reads standard input must not eat the rest.
    return "{\n" + "\n".join(parts) + "\n}\n"


def _expanded(value: str, known: dict[str, str]) -> str:
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda m: known.get(m[1] or m[2], ""), value)


def _end(process: subprocess.Popen[bytes], reading: threading.Thread, grace_s: float) -> None:
    """TERM to all of the step, and KILL after the grace."""
    if grace_s:
        _signal(process, signal.SIGTERM)
        reading.join(grace_s)
    _signal(process, signal.SIGKILL)
    reading.join(5.0)
    process.wait(5.0)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
