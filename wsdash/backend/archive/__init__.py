"""The archive that `wsdash export` writes: a tar of `workspace.json` and the workspace's files, as a stream.

A reader trusts nothing in it: `tar` bounds the format, `entries` decides which members become files,
`manifest` checks `workspace.json`. `files` has files, pipes and compression.
"""

from __future__ import annotations


class ArchiveError(Exception):
    """The archive is malformed, truncated or damaged; the message says where and why."""
