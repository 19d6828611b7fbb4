"""A query of a workspace's files sees nothing else of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repositories import git, make_repository
from wsdash.backend.providers.local.sandbox import git_query
from wsdash.backend.providers.local.sandbox.isolation import Host, Isolation, JobPaths
from wsdash.backend.providers.types import CheckoutQuery
from wsdash.workload import Source, Workload

TELL = CheckoutQuery(b'echo "${WSDASH_MACHINE:-no} ${WSDASH_SOURCE:-none}"', (), most=1000, timeout_s=60.0)


@pytest.fixture
def job_paths(tmp_path: Path) -> JobPaths:
    workspace = tmp_path / "state/workspaces/w1"
    (workspace / "projects").mkdir(parents=True)
    return JobPaths("a1", workspace, tmp_path / "state/jobs/a1/job", tmp_path / "state")


async def told(job_paths: JobPaths, url: str) -> str:
    workload = Workload(source=Source(url))
    text = await git_query.ask(
        Isolation("plain"), job_paths, Host((), "/home/me"), workload, {"PATH": "/usr/bin:/bin"}, TELL
    )
    return text.decode().strip()


async def test_a_source_that_is_a_folder_outlives_its_workspaces(job_paths: JobPaths, tmp_path: Path) -> None:
    source = make_repository(tmp_path / "my source")
    assert await told(job_paths, str(source)) == f"yes {source}"
    url = f"file://{str(source).replace(' ', '%20')}"
    assert await told(job_paths, url) == f"yes {url}"
    git(tmp_path, "clone", "--quiet", "--bare", str(source), "bare.git")
    assert await told(job_paths, str(tmp_path / "bare.git")) == f"yes {tmp_path / 'bare.git'}"


async def test_one_that_is_gone_or_is_a_workspaces_own_does_not(job_paths: JobPaths, tmp_path: Path) -> None:
    make_repository(job_paths.projects / "app")
    (tmp_path / "link").symlink_to(job_paths.projects / "app")
    (tmp_path / "empty").mkdir()
    for url in (job_paths.projects / "app", tmp_path / "link", tmp_path / "empty", tmp_path / "gone"):
        assert await told(job_paths, str(url)) == "yes none"


async def test_addresses_of_other_machines_are_no_folders(job_paths: JobPaths) -> None:
    assert await told(job_paths, "https://git.example.com/app.git") == "yes none"
    assert await told(job_paths, "git.example.com:app.git") == "yes none"
