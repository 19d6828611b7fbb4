"""Creates the objects for one instance: token, rate limiter, client, and the provider on top of them."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import time
from collections.abc import Callable, Collection, Mapping

from wsdash.backend.access.relay_client import RelayClient
from wsdash.backend.providers.gitlab.api.client import GitLabClient
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.rate_limit import RateLimiter
from wsdash.backend.providers.gitlab.api.shared_listing import SharedListing
from wsdash.backend.providers.gitlab.api.tokens import TokenSource
from wsdash.backend.providers.gitlab.provider import GitLabProvider
from wsdash.backend.system.clock import boot_time
from wsdash.config.settings import Access, GitLabSettings
from wsdash.paths import Paths


def gitlab_api(
    url: str,
    token: Callable[[], str],
    paths: Paths,
    *,
    ca_file: str | None = None,
    clock: Callable[[], float] = time.time,
) -> GitLabApi:
    """Return the endpoints of one instance. All processes of this state store share the rate limit."""
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    rate_limiter = RateLimiter(paths.state / "gitlab" / f"{name}.json", clock, random.random)
    return GitLabApi(GitLabClient(url, token, rate_limiter=rate_limiter, clock=clock, ca_file=ca_file))


def gitlab_provider(
    settings: GitLabSettings,
    paths: Paths,
    *,
    clock: Callable[[], float] = time.time,
    environ: Mapping[str, str] = os.environ,
    shared: SharedListing | None = None,
    access: Access = Access(),  # noqa: B008
    credential_hosts: Collection[str] = (),
) -> GitLabProvider:
    """Return the provider of a context with these settings. `shared` is common to all contexts of its instance."""
    token = TokenSource(settings.url, paths.credentials_file, environ, clock)
    api = gitlab_api(settings.url, token, paths, ca_file=settings.ca_file, clock=clock)
    host = socket.gethostname()
    relay_client = RelayClient(paths, access) if access.host is not None else None
    return GitLabProvider(
        settings,
        api,
        host=host,
        owner=owner_of(host, paths),
        clock=clock,
        boot_clock=boot_time if clock is time.time else None,
        shared=shared,
        relay_client=relay_client,
        files_folder=paths.state,
        cache_key_file=paths.cache_key_file,
        credential_hosts=credential_hosts,
    )


def owner_of(host: str, paths: Paths) -> str:
    """Return an id of this state store, by which another store sees that a workspace is kept alive elsewhere."""
    return hashlib.sha256(f"{host}\0{os.geteuid()}\0{paths.database}".encode()).hexdigest()[:8]
