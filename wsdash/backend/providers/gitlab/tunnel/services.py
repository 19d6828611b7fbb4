"""Runs all automatic transfers through the tunnels of a context's jobs."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from wsdash.backend.git.credential_files import KeptCredentials
from wsdash.backend.providers.gitlab.tunnel.cache_keys import CacheKeys
from wsdash.backend.providers.gitlab.tunnel.checkpoints import Checkpoints
from wsdash.backend.providers.gitlab.tunnel.git_credentials import CredentialServer
from wsdash.backend.providers.gitlab.tunnel.heartbeats import TunnelHeartbeats
from wsdash.backend.providers.gitlab.tunnel.imports import PendingImports
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.config.settings import GitLabSettings
from wsdash.model import JobObservation, JobState


class TunnelServices:
    """`files_folder` has the files of workspaces on this machine, `cache_key_file` the secret of encrypted caches.

    Git in a job may ask for credentials for `credential_hosts`, and for those of its own addresses, `kept`.
    """

    def __init__(
        self,
        tunnel: JobTunnel,
        settings: GitLabSettings,
        files_folder: Path,
        cache_key_file: Path,
        credential_hosts: Collection[str],
        kept: KeptCredentials,
    ) -> None:
        self._tunnel = tunnel
        self._encrypts_cache = settings.encrypt_cache
        self.heartbeats = TunnelHeartbeats(tunnel)
        self.imports = PendingImports(files_folder / "incoming", tunnel)
        self.checkpoints = Checkpoints(files_folder / "checkpoints", tunnel)
        self._credentials = CredentialServer(credential_hosts, tunnel, kept.of)
        self._cache_keys = CacheKeys(cache_key_file, tunnel)

    async def serve(self, jobs: Collection[JobObservation]) -> None:
        """Start the background transfers for these jobs: files for a starting one, checkpoints of a running one."""
        if all(job.state is JobState.ENDED for job in jobs):
            return
        # A starting job may be waiting for data from its tunnel.
        await self._tunnel.ensure_relay()
        if self._tunnel.is_configured:
            for job in jobs:
                self._serve(job)

    def _serve(self, job: JobObservation) -> None:
        if job.state in (JobState.STARTING, JobState.RUNNING):
            self.heartbeats.follow(job.workspace_id, job.attempt_id)
            if self._encrypts_cache:
                self._cache_keys.send(job.workspace_id, job.attempt_id)
            self._credentials.serve(job.workspace_id, job.attempt_id)
        if job.state is JobState.STARTING:
            self.imports.send(job.workspace_id, job.attempt_id)
            self.checkpoints.send(job.workspace_id, job.attempt_id)
        if job.state is JobState.RUNNING:
            self.checkpoints.follow(job.workspace_id, job.attempt_id, job.number)

    async def aclose(self) -> None:
        """Cancel the transfers; they are started again later."""
        for service in (
            self.imports,
            self.checkpoints,
            self._credentials,
            self._cache_keys,
            self.heartbeats,
        ):
            await service.aclose()
