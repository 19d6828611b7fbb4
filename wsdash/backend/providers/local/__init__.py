"""The embedded provider: jobs are processes of this machine, each under a supervisor that outlives us."""

from __future__ import annotations

TYPE_CHECKING = False  # as mypy allows; supervisors need no `typing`, which takes long to load
if TYPE_CHECKING:
    from wsdash.backend.providers.local.provider import LocalProvider
    from wsdash.backend.providers.local.sandbox.isolation import Isolation

__all__ = ["Isolation", "LocalProvider"]


def __getattr__(name: str) -> object:
    """Loads the provider when it is asked for: supervisors load modules of this package without it."""
    if name == "LocalProvider":
        from wsdash.backend.providers.local.provider import LocalProvider

        return LocalProvider
    if name == "Isolation":
        from wsdash.backend.providers.local.sandbox.isolation import Isolation

        return Isolation
    raise AttributeError(name)
