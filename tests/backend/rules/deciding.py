"""Short ways to ask for a decision."""

from __future__ import annotations

from dataclasses import replace

from tests.backend.builders import NOW, POLICY, workspace
from wsdash.backend.rules.decide import (
    Decision,
    decide,
)
from wsdash.model import (
    Attempt,
    Observation,
    Policy,
    Workspace,
)


def decided(
    attempts: list[Attempt],
    observation: Observation | None,
    *,
    of: Workspace | None = None,
    policy: Policy = POLICY,
    now: float = NOW,
) -> Decision:
    wanted = replace(of or workspace(), policy=policy)
    return decide(wanted, attempts, observation, now)
