"""Ports that begin to listen while the dashboard is open. Pure; what a job reports is not trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsdash.backend.job.ports import OpenPort, Ports

FIRST_EPHEMERAL = 32768
"""From here on the kernel chooses ports (`ip_local_port_range` of ip(7)): helpers of editors and tests, no pages."""


class PortNotices:
    """Knows the ports that were seen, so that each is offered once."""

    def __init__(self) -> None:
        self._seen: dict[str, set[int]] = {}
        self._newest: dict[str, int] = {}

    def begun(self, workspace_id: str, ports: Ports) -> list[OpenPort]:
        """Return the ports that listen now and were never seen to; none at the first look at a workspace."""
        if not ports.is_known:
            return []
        listening = [port for port in ports.ports if port.listener is not None]
        seen = self._seen.get(workspace_id)
        self._seen[workspace_id] = (seen or set()) | {port.number for port in listening}
        if seen is None:
            return []
        new = [
            port
            for port in listening
            if port.number not in seen and (port.declared is not None or port.number < FIRST_EPHEMERAL)
        ]
        if new:
            self._newest[workspace_id] = new[-1].number
        return new

    def page(self, workspace_id: str, ports: Ports) -> int | None:
        """Return the port to open: the one that was offered last, else the first that listens, declared ones first."""
        listening = [port for port in ports.ports if port.listener is not None]
        listening.sort(
            key=lambda port: (port.number != self._newest.get(workspace_id), port.declared is None)
        )
        return listening[0].number if listening else None
