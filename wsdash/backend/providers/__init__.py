"""Providers run jobs. `provider_of` makes the one that a context asks for."""

from __future__ import annotations

# As in typing, which the quick verbs do without.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from wsdash.backend.providers.base import Provider
    from wsdash.paths import Paths

LOCAL = "local"


def provider_of(context: str, paths: Paths) -> Provider:
    """The provider of a context of config.toml; `local` is always there. Raises `LookupError`."""
    if context == LOCAL:
        from wsdash.backend.providers.local import LocalProvider

        return LocalProvider(paths.contexts / context)
    from wsdash.config import load_config

    found = load_config(paths.config_file).contexts[context]
    if found.gitlab is not None:
        from wsdash.backend.providers.gitlab.connect import gitlab_provider

        return gitlab_provider(found.gitlab, paths)
    from wsdash.backend.providers.local import LocalProvider

    return LocalProvider(paths.contexts / context)
