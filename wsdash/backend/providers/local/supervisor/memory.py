"""Counts the processes that the kernel ended for lack of memory, by this process's own cgroup. Standard library only.

cgroups(7): both `memory.events` of version 2 and `memory.oom_control` of version 1 (since Linux 4.13) have `oom_kill`.
"""

from __future__ import annotations

from pathlib import Path


class OomKills:
    """Counts from its creation, or from the last `begin`. Without a cgroup that counts, the number never grows."""

    def __init__(self, cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> None:
        self._file = next((file for file in _counters(cgroups, own) if _count(file) is not None), None)
        self._before = 0
        self.begin()

    def begin(self) -> None:
        """Count only from now on."""
        self._before = self._now()

    def has_grown(self) -> bool:
        """Whether the kernel has ended a process for lack of memory since the count began."""
        return self._now() > self._before

    def _now(self) -> int:
        return (_count(self._file) if self._file is not None else None) or 0


def _counters(cgroups: Path, own: Path) -> list[Path]:
    """Return the files that may have the count. In a container the path in /proc may not exist in its mounts."""
    found: list[Path] = []
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        below = path.lstrip("/")
        if controllers == "":
            for top in (cgroups, cgroups / "unified"):
                found += [top / below / "memory.events", top / "memory.events"]
        elif "memory" in controllers.split(","):
            top = cgroups / "memory"
            found += [top / below / "memory.oom_control", top / "memory.oom_control"]
    return found


def _count(file: Path) -> int | None:
    try:
        for line in file.read_text().splitlines():
            name, _, number = line.partition(" ")
            if name == "oom_kill":
                return int(number)
    except (OSError, ValueError):
        pass
    return None
