"""No key, branch, package, folder or process is shared by two workspaces."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.waiting import until
from wsdash.backend.access.relay_address import RelayAddress
from wsdash.backend.providers.gitlab.api.ci_variables import variable_of
from wsdash.backend.providers.gitlab.ci.config import JOB, Identity, Options, render
from wsdash.backend.providers.gitlab.ci.pipeline_name import branch_of
from wsdash.backend.providers.gitlab.ci.record import Volume as RunnerVolume
from wsdash.backend.providers.gitlab.tunnel.checkpoints import Checkpoints
from wsdash.backend.providers.gitlab.tunnel.git_credentials import CredentialServer
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.workload import Source, Volume, Workload

IDS = st.from_regex(r"[0-9a-f]{10}", fullmatch=True)
WORKLOAD = Workload(
    image="alpine", source=Source("https://git.example/app.git"), volumes=(Volume("data", "/data"),)
)
OPTIONS = Options(relay=RelayAddress("host", 22, "ssh-ed25519 AAAA", "ssh-ed25519 BBBB", "audience"))


def document(workspace_id: str) -> dict[str, Any]:
    text = render(WORKLOAD, Identity(workspace_id, "app", f"a-{workspace_id}.1.1"), OPTIONS).text
    return cast(dict[str, Any], yaml.safe_load(text))


@given(one=IDS, other=IDS)
@settings(max_examples=10)
def test_two_workspaces_of_one_source_share_no_name(one: str, other: str) -> None:
    if one == other:
        return
    first, second = document(one)[JOB], document(other)[JOB]
    for name in ("resource_group", "cache"):
        assert first[name] != second[name]
    assert first["variables"]["WSDASH_WORKSPACE"] != second["variables"]["WSDASH_WORKSPACE"]
    assert branch_of(one) != branch_of(other)
    assert variable_of(one, "TOKEN") != variable_of(other, "TOKEN")
    on_volume = render(
        WORKLOAD, Identity(one, "app", "a.1.1"), replace(OPTIONS, volume=RunnerVolume("/wsdash", ("big",)))
    )
    job = yaml.safe_load(on_volume.text)[JOB]
    assert (job["variables"]["WSDASH_VOLUME"], job["cache"]) == ("/wsdash", [])
    assert other not in on_volume.text
    # Neither knows of the other.
    assert other not in yaml.safe_dump(first)
    assert one not in yaml.safe_dump(second)


def test_all_that_a_job_names_outside_of_its_own_folder_has_the_workspace_in_its_name() -> None:
    """The package, the terminal's server, the folder itself."""
    scripts = "\n".join(document("0123456789")[JOB]["script"])
    assert "packages/generic/wsdash-$WSDASH_WORKSPACE/" in scripts
    servers = re.findall(r"tmux -L (\S+)", scripts)
    assert set(servers) == {'"wsdash-$WSDASH_WORKSPACE"', '"wsdash-$WSDASH_WORKSPACE-sessions"'}
    assert "base=$CI_PROJECT_DIR/.wsdash/$WSDASH_WORKSPACE\n" in scripts


class FakeTunnel(JobTunnel):
    """A tunnel on which a job says what it likes, and which of all workspaces it was asked for."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.heard = ""

    async def command_if_connected(
        self, workspace_id: str, name: str, argv: tuple[str, ...]
    ) -> tuple[str, ...]:
        self.asked.append((workspace_id, argv))
        output = "".join(f"echo '{line}'; read -r answer; " for line in self.lines)
        return ("sh", "-c", f"{output} sleep 0.2; echo; exit 0")


async def test_a_job_that_offers_what_is_another_s_is_cut_off(tmp_path: Path) -> None:
    for line in (
        "new 4.1 0.0 1000 4 abcd",
        "new ../../x 0.0 1 1 a",
        "new 3.1 0.0 1000 99999999999999 abcd",
        "kept",
    ):
        tunnel = FakeTunnel("none none", line)
        checkpoints = Checkpoints(tmp_path / "checkpoints", tunnel)
        checkpoints.follow("w", "a", 3)
        await asyncio.sleep(0)
        await until(lambda: len(checkpoints._following) == 0)  # noqa: B023
        assert tunnel.asked == [("w", ("wsdash-checkpoint", "stream"))]
        assert checkpoints.kept.newest("w") is None
    assert not list(tmp_path.rglob("*.bundle"))


async def test_a_job_gets_credentials_for_no_other_host_and_by_no_other_way(tmp_path: Path) -> None:
    server = CredentialServer({"git.example.com"}, FakeTunnel(), lambda _: ())
    assert await server._answer("w", "http", "git.example.com") == {}
    assert await server._answer("w", "https", "git.example.com.evil.org") == {}
    assert await server._answer("w", "https", "evil.org") == {}
    for question in (
        "get 1 https git.example.com extra",
        "get 1 https a b",
        "get x https git.example.com",
        "put 1",
    ):
        tunnel = FakeTunnel(question)
        hostile = CredentialServer({"git.example.com"}, tunnel, lambda _: ())
        hostile.serve("w", "a")
        await asyncio.sleep(0)
        await until(lambda: len(hostile._serving) == 0)  # noqa: B023
        assert tunnel.asked == [("w", ("wsdash-credentials", "serve"))]


def test_without_named_hosts_no_job_is_listened_to() -> None:
    server = CredentialServer((), FakeTunnel(), lambda _: ())
    server.serve("w", "a")
    assert len(server._serving) == 0
