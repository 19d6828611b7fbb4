"""Computes when a job ends by itself, so that GitLab does not have to end it. Pure.

A job's timeout includes images, cache, script, after_script and the upload of the cache. When it is reached, neither
after_script nor the upload runs ("Configuring runners"); so the script ends earlier.
"""

from __future__ import annotations

from dataclasses import dataclass

SHORTEST_S = 20.0
LEAST_S = 600.0
"""The minimum of a project's timeout in GitLab, ten minutes; a runner's maximum has the same lower bound."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Durations in seconds. `job` is GitLab's `timeout`, `script` and `after_script` are the runner's own limits.

    After `deadline` of running the job's script ends the workspace by itself. The last checkpoint may take
    `save`.
    """

    job: int
    script: int
    after_script: int
    deadline: int
    save: int


def timeouts(job_s: float) -> Timeouts:
    """Compute the timeouts of a job. Reserve a twentieth of the time, at most five minutes, for each of: preStop,
    after_script, the upload, and the phase before the script (images, cache). Raises ValueError if no time remains.
    """
    if job_s < SHORTEST_S:
        raise ValueError(
            f"a job timeout of {job_s:g} s leaves no time to run; GitLab's minimum is ten minutes"
        )
    share = min(300.0, job_s / 20)
    script = job_s - 3 * share
    return Timeouts(
        round(job_s), round(script), round(share), round(script - share), max(1, min(60, int(share / 2)))
    )
