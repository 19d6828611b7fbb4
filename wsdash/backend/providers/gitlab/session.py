"""The objects that the parts of one context's provider share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.project import CurrentProject
from wsdash.backend.providers.gitlab.ci.branch import BranchWriter
from wsdash.backend.providers.gitlab.observe.poller import PipelinePoller
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.config.settings import GitLabSettings


@dataclass(frozen=True, slots=True)
class Session:
    """`host` and `owner` identify the store that keeps the workspaces alive: the machine's name, and an id of the
    store.
    """

    settings: GitLabSettings
    api: GitLabApi
    project: CurrentProject
    tunnel: JobTunnel
    branches: BranchWriter
    poller: PipelinePoller
    clock: Callable[[], float]
    host: str
    owner: str
