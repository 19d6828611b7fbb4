"""Kills, stops and continues processes of a world, one after the other, at random moments."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.gitlab_server.faults import Fault
from tests.torture.processes import Process, processes_of
from tests.torture.user import Deeds
from tests.torture.world import World

FAULT_SHARE = 0.2
"""Of what happens in a world with a GitLab: one that loses replies, fails, or closes connections for a moment."""
FAULTS = (Fault.LOST_REPLY, Fault.SERVER_ERROR, Fault.BAD_GATEWAY, Fault.CLOSED, Fault.TOO_MANY_REQUESTS)
STOPPED_SHARE = 0.12
LONG_STOP_SHARE = 0.1
"""Of the stops: longer than a lease lasts, so that its holder is replaced."""
LONG_STOP_S = 50.0
SPARED = frozenset({"escaped"})
WEIGHTS = {"command": 0.3, "helper": 0.5}
"""Of roles that are hit less often than others: users kill their commands themselves."""


@dataclass
class Killed:
    """The numbers of killed and stopped processes of each role."""

    kills: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)


class Killer(threading.Thread):
    """Kills until it has done `kills`, or is told to end. All that it has stopped goes on when it ends."""

    def __init__(
        self,
        world: World,
        kills: int,
        killed: Killed,
        deeds: Deeds,
        dice: random.Random,
        goes_on: Callable[[], bool],
        *,
        pause_s: float,
        long_stops: bool,
    ) -> None:
        super().__init__(daemon=True)
        self._world = world
        self._left = kills
        self._killed = killed
        self._deeds = deeds
        self._dice = dice
        self._goes_on = goes_on
        self._pause_s = pause_s
        self._long_stops = long_stops
        self._stopped: list[tuple[float, Process]] = []

    def run(self) -> None:
        next_at = time.monotonic()
        while self._left > 0 and self._goes_on():
            self._continue(time.monotonic())
            if time.monotonic() >= next_at:
                self._hit()
                self._world.press(self._dice)
                next_at = time.monotonic() + min(self._dice.expovariate(1 / self._pause_s), 5 * self._pause_s)
            time.sleep(0.02)
        self._continue(float("inf"))
        if self._world.server is not None:
            self._world.server.faults.clear()

    def _hit(self) -> None:
        server = self._world.server
        if server is not None and self._dice.random() < FAULT_SHARE:
            fault, times = self._dice.choice(FAULTS), self._dice.randint(1, 4)
            server.faults.add(fault, path="^/api/v4/(projects|user|graphql)", times=times)
            self._deeds.step(f"GitLab: {fault.name} {times} times")
            return
        by_role: dict[str, list[Process]] = {}
        for process in processes_of(self._world.folder):
            if process.role not in SPARED:
                by_role.setdefault(process.role, []).append(process)
        if not by_role:
            return
        roles = sorted(by_role)
        role = self._dice.choices(roles, [WEIGHTS.get(role, 1.0) for role in roles])[0]
        victim = self._dice.choice(sorted(by_role[role], key=lambda process: process.pid))
        output = f"{role} {victim.pid} {victim.workspace} {' '.join(victim.argv)[-60:]!r}"
        if role != "runner" and self._dice.random() < STOPPED_SHARE:
            is_long = self._long_stops and self._dice.random() < LONG_STOP_SHARE
            seconds = LONG_STOP_S if is_long else self._dice.uniform(0.2, 12.0)
            if victim.signal(signal.SIGSTOP):
                self._stopped.append((time.monotonic() + seconds, victim))
                self._killed.stops[role] += 1
                self._deeds.step(f"stopped {output} for {seconds:.1f} s")
        elif role == "runner":
            self._world.power_cut_of_runner()
            self._count(role, output)
        elif victim.signal(signal.SIGKILL):
            self._count(role, output)

    def _count(self, role: str, output: str) -> None:
        self._left -= 1
        self._killed.kills[role] += 1
        self._deeds.step(f"killed {output}")

    def _continue(self, now: float) -> None:
        for at, process in list(self._stopped):
            if at <= now:
                process.signal(signal.SIGCONT)
                self._stopped.remove((at, process))
