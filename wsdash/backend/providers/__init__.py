"""Providers run jobs. `provider_of` makes the one that a context asks for."""

from __future__ import annotations

# As in typing, which the quick verbs do without.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from wsdash.backend.providers.base import Provider
    from wsdash.config import Paths

LOCAL = "local"


def provider_of(context: str, paths: Paths) -> Provider:
    """The provider of a context. `local` is this machine and is always there. Raises `LookupError`."""
    if context != LOCAL:
        raise LookupError(context)
    from wsdash.backend.providers.local import LocalProvider

    return LocalProvider(paths.contexts / LOCAL)
