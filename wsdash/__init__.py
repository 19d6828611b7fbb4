"""Development workspaces on the CI runners you already have, from a terminal dashboard."""

__version__ = "0.1.0"
