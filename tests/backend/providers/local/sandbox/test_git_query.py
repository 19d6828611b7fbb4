"""What a question about a workspace's files is told of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repositories import git, make_repository
from wsdash.backend.providers.local.sandbox import git_query
from wsdash.backend.providers.local.sandbox.isolation import Host, Isolation, Place
from wsdash.backend.providers.types import CheckoutQuery
from wsdash.workload import Source, Workload

TELL = CheckoutQuery(b'echo "${WSDASH_MACHINE:-no} ${WSDASH_SOURCE:-none}"', (), most=1000, timeout_s=60.0)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    workspace = tmp_path / "state/workspaces/w1"
    (workspace / "projects").mkdir(parents=True)
    return Place("a1", workspace, tmp_path / "state/jobs/a1/job", tmp_path / "state")


async def told(place: Place, url: str) -> str:
    workload = Workload(source=Source(url))
    said = await git_query.ask(
        Isolation("plain"), place, Host((), "/home/me"), workload, {"PATH": "/usr/bin:/bin"}, TELL
    )
    return said.decode().strip()


async def test_a_source_that_is_a_folder_outlives_its_workspaces(place: Place, tmp_path: Path) -> None:
    source = make_repository(tmp_path / "my source")
    assert await told(place, str(source)) == f"yes {source}"
    url = f"file://{str(source).replace(' ', '%20')}"
    assert await told(place, url) == f"yes {url}"
    git(tmp_path, "clone", "--quiet", "--bare", str(source), "bare.git")
    assert await told(place, str(tmp_path / "bare.git")) == f"yes {tmp_path / 'bare.git'}"


async def test_one_that_is_gone_or_is_a_workspaces_own_does_not(place: Place, tmp_path: Path) -> None:
    make_repository(place.projects / "app")
    (tmp_path / "link").symlink_to(place.projects / "app")
    (tmp_path / "empty").mkdir()
    for url in (place.projects / "app", tmp_path / "link", tmp_path / "empty", tmp_path / "gone"):
        assert await told(place, str(url)) == "yes none"


async def test_addresses_of_other_machines_are_no_folders(place: Place) -> None:
    assert await told(place, "https://git.example.com/app.git") == "yes none"
    assert await told(place, "git.example.com:app.git") == "yes none"
