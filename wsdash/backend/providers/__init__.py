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
    from wsdash.config import load_config

    kind = LOCAL if context == LOCAL else load_config(paths.config_file).contexts[context].provider
    if kind != LOCAL:
        raise LookupError(kind)
    from wsdash.backend.providers.local import LocalProvider

    return LocalProvider(paths.contexts / context)
