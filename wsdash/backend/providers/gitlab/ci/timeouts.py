"""When a job ends by itself, so that GitLab never has to end it. Pure.

A job's timeout holds for everything: images, cache, script, after_script and the upload of the cache. When
it comes, neither after_script nor the cache is done ("Configuring runners"); so the script ends before.
"""

from __future__ import annotations

from dataclasses import dataclass

SHORTEST_S = 20.0
LEAST_S = 600.0
"""GitLab takes no project timeout below ten minutes; a runner's maximum has the same floor."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds. `job` is GitLab's `timeout`, `script` and `after_script` are the runner's own limits,
    and after `deadline` of running the job's script ends the workspace by itself. The last checkpoint may take
    `save`.
    """

    job: int
    script: int
    after_script: int
    deadline: int
    save: int


def timeouts(job_s: float) -> Timeouts:
    """Leaves a twentieth of the time, five minutes at most, to each of: preStop, after_script, the upload,
    and what comes before the script (images, cache). Raises ValueError when there is no time to run.
    """
    if job_s < SHORTEST_S:
        raise ValueError(
            f"a job timeout of {job_s:g} s leaves no time to run; GitLab itself wants ten minutes"
        )
    share = min(300.0, job_s / 20)
    script = job_s - 3 * share
    return Timeouts(
        round(job_s), round(script), round(share), round(script - share), max(1, min(60, int(share / 2)))
    )
