"""The contract of every provider, with GitLab's API, a runner, and the scripts that run in its jobs."""

# mypy: disable-error-code="type-abstract"

from __future__ import annotations

import pytest

from tests.backend.providers.contract import Harness, ProviderContract, attempt, workspace
from wsdash.backend.providers.errors import PermanentError
from wsdash.backend.providers.features import Shells
from wsdash.model import JobState


class TestGitLab(ProviderContract):
    async def test_jobs_of_several_attempts_are_told_apart(self, harness: Harness) -> None:
        """GitLab itself lets only one of them run: they are in one resource group."""
        await harness.launch(harness.workload("true"))
        await harness.provider.launch(workspace(), attempt(2), harness.workload("true"))
        jobs = {job.number: job.state for job in (await harness.provider.observe()).jobs}
        assert jobs == {1: JobState.RUNNING, 2: JobState.HELD}
        await harness.provider.force_cancel(attempt())
        await harness.until(attempt(2), lambda job: job.ready_at)
        jobs = {job.number: job.state for job in (await harness.provider.observe()).jobs}
        assert jobs == {1: JobState.ENDED, 2: JobState.RUNNING}

    async def test_changes_tell_of_the_start_and_of_the_end(self, harness: Harness) -> None:
        """GitLab tells nobody: looks are the only way."""
        assert [ids async for ids in harness.provider.changes()] == []

    async def test_no_shell_where_nothing_runs(self, harness: Harness) -> None:
        with pytest.raises(PermanentError, match="ended"):
            await harness.having(Shells).shell(workspace(), attempt(), ())
        await harness.launch(harness.workload("true"))
        with pytest.raises(PermanentError, match="cannot be entered"):
            await harness.having(Shells).shell(workspace(), attempt(), ())
        await harness.provider.force_cancel(attempt())
        with pytest.raises(PermanentError, match="ended"):
            await harness.having(Shells).shell(workspace(), attempt(), ())
