"""The archive that `wsdash export` writes: a tar of `workspace.json` and the workspace's files, as a stream.

A reader trusts nothing in it: `tar` bounds the format, `entries` says what may become a file,
`manifest` checks `workspace.json`. `files` has files, pipes and compression.
"""

from __future__ import annotations


class ArchiveError(Exception):
    """What was read is no sound archive of a workspace: where and why."""
