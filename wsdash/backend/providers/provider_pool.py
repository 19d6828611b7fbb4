"""The providers of this process, one for each context, recreated when config.toml changes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.errors import UserError
from wsdash.backend.providers.base import Provider
from wsdash.config.settings import GITLAB, LOCAL, Config, ConfigError, Context, load_config
from wsdash.paths import Paths

if TYPE_CHECKING:
    from wsdash.backend.providers.gitlab.api.shared_listing import SharedListing


Maker = Callable[[Context, Config], Provider]
"""Creates the provider of a context."""
ALWAYS_POLLED = frozenset({LOCAL.name})
"""Contexts that are polled even without known workspaces: it costs nothing, and finds jobs of a lost store."""


class ProviderPool:
    """For use on one event loop. A provider whose settings have changed is closed with the others, at the end.

    `makers` create further providers, by the kind that a context of config.toml names as its `provider`.
    """

    def __init__(self, paths: Paths, makers: Mapping[str, Maker] = MappingProxyType({})) -> None:
        self._paths = paths
        self._makers: Mapping[str, Maker] = {
            LOCAL.provider: self._local,
            GITLAB: self._gitlab,
            **makers,
        }
        self._providers: dict[str, Provider] = {}
        self._made_for: dict[str, object] = {}
        self._retired: list[Provider] = []
        self._shared: dict[str, SharedListing] = {}
        """Data that contexts of one GitLab instance share, by its address."""
        self._config = Config()
        self._read_at: tuple[int, int] | None = None

    def of(self, context: str) -> Provider:
        """Return a context's provider. Raises `UserError` for an unknown context or an invalid config.toml."""
        try:
            config = self._config if context == LOCAL.name else self._read()
        except ConfigError as error:
            if context in self._providers:
                return self._providers[context]  # the user may still be editing the file
            raise UserError(str(error), "") from error
        if context not in config.contexts:
            raise UserError(f"there is no context {context}", "See `wsdash context list`.", exit_code=3)
        settings = (config.contexts[context], config.access, config.personal.credential_hosts)
        if context not in self._providers or (context != LOCAL.name and self._made_for[context] != settings):
            if context in self._providers:
                self._retired.append(self._providers[context])
            self._providers[context] = self._makers[settings[0].provider](settings[0], config)
            self._made_for[context] = settings
        return self._providers[context]

    async def aclose(self) -> None:
        """Close every provider."""
        for provider in (*self._providers.values(), *self._retired):
            await provider.aclose()

    def _local(self, context: Context, config: Config) -> Provider:
        from wsdash.backend.providers.local import LocalProvider

        return LocalProvider(self._paths.contexts / context.name, access=AccessFolder.of(self._paths))

    def _gitlab(self, context: Context, config: Config) -> Provider:
        from wsdash.backend.providers.gitlab.api.shared_listing import SharedListing
        from wsdash.backend.providers.gitlab.factory import gitlab_provider

        settings = context.gitlab
        assert settings is not None, "config.toml was checked"
        if settings.url not in self._shared:
            self._shared[settings.url] = SharedListing(time.time)
        return gitlab_provider(
            settings,
            self._paths,
            shared=self._shared[settings.url],
            access=config.access,
            credential_hosts=config.personal.credential_hosts,
        )

    def _read(self) -> Config:
        """Return config.toml's present content, read again if the file has changed."""
        try:
            status = os.stat(self._paths.config_file)  # noqa: PTH116 - asked for often
            mark = (status.st_mtime_ns, status.st_size)
        except OSError:
            mark = (0, 0)
        if mark != self._read_at:
            self._config = load_config(self._paths.config_file)
            self._read_at = mark
        return self._config
