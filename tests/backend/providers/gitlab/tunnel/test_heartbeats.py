"""The heartbeat that counts if a job sends them through its tunnel and by its pipeline's name."""

from __future__ import annotations

import pytest

from tests.waiting import until
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat, parse
from wsdash.backend.providers.gitlab.tunnel.heartbeats import TunnelHeartbeats, _checked, newer
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.config.settings import GitLabSettings


def beat(state: str, seq: int, generation: int = 0) -> Heartbeat:
    return Heartbeat("w1", "a1", 1, generation, 1_700_000_000, state, seq)


@pytest.mark.parametrize(
    ("named", "told", "counts"),
    [
        (beat("ready", 3), beat("ready", 5), "told"),
        (beat("ready", 5), beat("ready", 3), "named"),
        (beat("starting", 3), beat("ready", 3), "told"),
        (beat("ending", 3), beat("ready", 3), "named"),
        (beat("ready", 3), beat("ready", 3), "told"),
        (beat("queued", 0), beat("fetching", 0), "told"),
        (beat("cancelled", 3), beat("ending", 9), "named"),
        (beat("ready", 3), beat("deadline", 3), "told"),
        (beat("ready", 3), beat("ready", 9, generation=1), "named"),
    ],
)
def test_the_later_one_counts(named: Heartbeat, told: Heartbeat, counts: str) -> None:
    assert newer(named, told) is (told if counts == "told" else named)


@pytest.mark.parametrize(
    "said",
    [
        b"wsdash/w2 a1.1.0 1700000000 ready 3",
        b"wsdash/w1 a2.1.0 1700000000 ready 3",
        b"wsdash/w1 a1.1.0 1700000000 gone 3",
        b"\xff\xfe",
        b"",
    ],
)
def test_a_line_that_is_no_heartbeat_of_this_attempt_ends_the_listening(said: bytes) -> None:
    with pytest.raises(ValueError, match="it says"):
        _checked(said, "w1", "a1")
    assert _checked(b"wsdash/w1 a1.1.0 1700000000 ready 3\n", "w1", "a1").seq == 3


def test_without_access_the_status_says_that_and_why() -> None:
    tunnel = JobTunnel(None, GitLabSettings("https://gitlab.example", "group/app"))
    said = TunnelHeartbeats(tunnel).status(Heartbeat("w1", "a1", 1, 0))
    assert said.startswith("none: [access] in config.toml does not name this machine")
    assert "Set host in [access]" in said


class Job(JobTunnel):
    """A tunnel into a job that knows one command for its heartbeats."""

    def __init__(self, knows: str) -> None:
        super().__init__(None, GitLabSettings("https://gitlab.example", "group/app"))
        self.knows = knows
        self.asked: list[str] = []

    async def command_if_connected(
        self, workspace_id: str, name: str, argv: tuple[str, ...]
    ) -> tuple[str, ...]:
        self.asked += argv
        beats = "echo wsdash/w1 a1.1.0 1700000000 ready 3" if argv == (self.knows,) else "exit 127"
        return ("sh", "-c", beats)


async def heard(beats: TunnelHeartbeats) -> int:
    beats.follow("w1", "a1")
    await until(lambda: len(beats._following) == 0)
    return beats.newest(beat("queued", 0)).seq


async def test_a_job_of_the_version_before_is_asked_by_the_name_that_it_knows() -> None:
    job = Job("wsdash-pulse")
    beats = TunnelHeartbeats(job)
    assert (await heard(beats), job.asked) == (3, ["wsdash-heartbeats", "wsdash-pulse"])
    assert (await heard(beats), job.asked[2:]) == (3, ["wsdash-pulse"])


async def test_a_job_of_this_version_is_asked_once() -> None:
    job = Job("wsdash-heartbeats")
    assert (await heard(TunnelHeartbeats(job)), job.asked) == (3, ["wsdash-heartbeats"])


def test_where_the_version_before_has_put_its_checkpoint_is_known_by_the_name_of_today() -> None:
    found = parse("wsdash/w1 a1.1.0 1700000000 ready 3 deposit=registry:3.7")
    assert found is not None and found.facts == {"remote": "registry:3.7"}
