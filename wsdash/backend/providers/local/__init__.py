"""The embedded provider: jobs are processes of this machine, each under a supervisor that outlives wsdash."""

from __future__ import annotations

TYPE_CHECKING = False  # mypy knows this name; supervisors avoid `typing`, which is slow to import
if TYPE_CHECKING:
    from wsdash.backend.providers.local.provider import LocalProvider
    from wsdash.backend.providers.local.sandbox.isolation import Isolation

__all__ = ["Isolation", "LocalProvider"]


def __getattr__(name: str) -> object:
    """Import the provider on first use: supervisors load modules of this package without it."""
    if name == "LocalProvider":
        from wsdash.backend.providers.local.provider import LocalProvider

        return LocalProvider
    if name == "Isolation":
        from wsdash.backend.providers.local.sandbox.isolation import Isolation

        return Isolation
    raise AttributeError(name)
