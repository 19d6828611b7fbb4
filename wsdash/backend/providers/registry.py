"""The providers of this process, one for each context, made anew when config.toml says something else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError
from wsdash.backend.providers import LOCAL, provider_of
from wsdash.backend.providers.base import Provider
from wsdash.config.settings import ConfigError, Context, load_config
from wsdash.paths import Paths

if TYPE_CHECKING:
    from wsdash.backend.providers.gitlab.api.shared_listing import SharedListing


class ProviderPool:
    """For use on one event loop. A provider whose context was changed is closed with all others, at the end."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._providers: dict[str, Provider] = {}
        self._retired: list[Provider] = []
        self._contexts: dict[str, Context] = {}
        self._shared: dict[str, SharedListing] = {}
        self._read_of: tuple[int, int] | None = None

    def of(self, context: str) -> Provider:
        """Raises `UserError` where there is no such context, or config.toml cannot be used."""
        if context != LOCAL:
            self._read_again()
        if context not in self._providers:
            try:
                self._providers[context] = provider_of(context, self._paths, self._shared)
            except LookupError:
                raise UserError(
                    f"there is no context {context}", "See `wsdash context list`.", exit_code=3
                ) from None
            except ConfigError as error:
                raise UserError(str(error), "") from error
        return self._providers[context]

    async def aclose(self) -> None:
        for provider in (*self._providers.values(), *self._retired):
            await provider.aclose()

    def _read_again(self) -> None:
        """A file that cannot be read now changes nothing: its user is still writing."""
        try:
            status = os.stat(self._paths.config_file)  # noqa: PTH116 - asked for often
            mark = (status.st_mtime_ns, status.st_size)
        except OSError:
            mark = (0, 0)
        if mark == self._read_of:
            return
        try:
            contexts = dict(load_config(self._paths.config_file).contexts)
        except ConfigError:
            return
        for name in list(self._providers):
            if name != LOCAL and contexts.get(name) != self._contexts.get(name):
                self._retired.append(self._providers.pop(name))
        self._contexts, self._read_of = contexts, mark
