"""What runs inside every job: `job.sh`, the rendered workload that it sources, and the protocol it speaks."""

from __future__ import annotations

TYPE_CHECKING = False  # as mypy allows; supervisors need no `typing`, which takes long to load
if TYPE_CHECKING:
    from wsdash.backend.job.rendering import render, scripts

__all__ = ["render", "scripts"]


def __getattr__(name: str) -> object:
    """Loads the renderer when it is asked for: supervisors need the protocol only, and start often."""
    if name not in __all__:
        raise AttributeError(name)
    from wsdash.backend.job import rendering

    return getattr(rendering, name)
