"""Explains why a workspace of a GitLab context has no tunnel, with a remedy. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from wsdash.backend.access.grants import Grant
from wsdash.backend.access.relay_address import RelayAddress
from wsdash.backend.access.sightings import Sighting

IMAGE = {
    "no-ssh": "its image has no ssh (openssh-client)",
    "no-sshd": "its image has no SSH server (openssh-server or dropbear)",
    "no-user": "the job's user has no name in the image (/etc/passwd), and ssh does not work without one",
    "no-keys": "its job could not generate SSH keys",
    "old-dropbear": "the dropbear of its image is too old to be used outside of a container",
    "sshd-fails": "the SSH server of its image does not start",
}
"""Reasons of a job that cannot have a tunnel (`give_up` of tunnel.sh), by its word."""
NETWORK = {
    "no-name": "its runner cannot resolve {host}",
    "no-route": "its runner has no route to {host}",
    "closed": "{host} refuses the connection of its runner to port {port}",
    "timeout": "{host} does not answer its runner at port {port}",
    "host-key": "another SSH server answers its runner at {host} port {port}",
}
"""Reasons of a job that cannot connect to this machine (`note_failure` of tunnel.sh), by its word."""
DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Reason:
    """A sentence without its subject, which is the workspace's name, and the remedy."""

    text: str
    hint: str


def reason(
    name: str, address: RelayAddress, grant: Grant | None, seen: Sighting | None, reported: str
) -> Reason:
    """Return the reason why the workspace has no open tunnel although the relay runs.

    `grant` is that of its newest attempt, `seen` the relay's record of it; `reported` is the word of the job.
    """
    restart = f"`wsdash restart {name}` gives it a job that connects to this machine."
    if grant is None:
        text = "its job does not connect to this machine: it began before [access] was set, or on another machine"
        return Reason(text, restart)
    if reported in IMAGE:
        hint = "Use an image with openssh-client and openssh-server; docs/access.md has the details."
        return Reason(IMAGE[reported], hint)
    if grant.address and grant.address != address.text:
        return Reason(
            f"its job connects to {_words(grant.address)}, but this machine is now {_words(address.text)}",
            restart,
        )
    if seen is not None and seen.attempt_id == grant.attempt_id:
        return _of_seen(name, address, seen, reported, restart)
    if reported in NETWORK:
        return Reason(_network(address, reported), _let_in(address))
    if reported == DENIED:
        return Reason("its job is refused by the SSH server that answers it", _let_in(address))
    text = f"its job has not connected to this machine ({_words(address.text)}) yet"
    return Reason(text, f"{_let_in(address)} `wsdash logs {name}` shows what the job reports.")


def _of_seen(name: str, address: RelayAddress, seen: Sighting, reported: str, restart: str) -> Reason:
    if seen.is_refused:
        return Reason(f"its job is refused: {seen.refusal}", restart)
    if seen.is_connected:
        why = f" ({seen.socket_problem})" if seen.socket_problem else ""
        text = f"its job is connected, but its socket on this machine was removed{why}"
        return Reason(text, f"It is created again within seconds; try `wsdash ssh {name}` again.")
    lost = "its job was connected to this machine, and has lost the connection"
    if reported in NETWORK:
        return Reason(f"{lost}: {_network(address, reported)}", _let_in(address))
    return Reason(lost, f"The job reconnects by itself; `wsdash logs {name}` shows what it reports.")


def _network(address: RelayAddress, reported: str) -> str:
    return NETWORK[reported].format(host=address.host, port=address.port)


def _words(address: str) -> str:
    host, _, port = address.rpartition(" ")
    return f"{host} port {port}"


def _let_in(address: RelayAddress) -> str:
    return (
        f"{address.host} must be this machine as the runner sees it, and firewalls must let TCP port {address.port} in;"
        " `wsdash doctor` checks this side."
    )
