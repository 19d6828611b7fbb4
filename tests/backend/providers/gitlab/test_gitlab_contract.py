"""The contract of every provider, with GitLab's API, a runner, and the scripts that run in its jobs."""

from __future__ import annotations

from tests.backend.providers.contract import ProviderContract


class TestGitLab(ProviderContract):
    pass
