"""Tells jobs, through the tunnels that they hold, that the relay has another address now. Everything here blocks."""

from __future__ import annotations

import logging
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from wsdash.backend.access.grants import Grant
from wsdash.backend.access.relay_client import RelayClient
from wsdash.backend.job import protocol
from wsdash.backend.system import environments

log = logging.getLogger(__name__)

SEND_S = 10.0
AT_ONCE = 8


def send_address(client: RelayClient) -> None:
    """Send the present address to each job that is connected and knows another one.

    A job of an earlier version does not take it; it must be restarted.
    """
    jobs = client.jobs_elsewhere()
    if jobs:
        with ThreadPoolExecutor(AT_ONCE, "wsdash-address") as pool:
            list(pool.map(lambda grant: _send(client, grant), jobs))


def _send(client: RelayClient, grant: Grant) -> None:
    address = client.address
    asked = (protocol.RELAY, address.host, str(address.port))
    argv = client.ssh(grant.workspace_id, grant.name or grant.workspace_id, asked)
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SEND_S,
            check=False,
            env=environments.basic(os.environ),
        )
        if done.returncode == 0:
            client.note_address(grant)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("the job of %s cannot be given the new address: %s", grant.name, error)
