"""The relay's port is one that no outgoing connection takes, and who has a port that is taken is told."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from wsdash.backend.access import listening
from wsdash.backend.access.listening import CannotListen

LOCAL = "127.0.0.1"


def has_ipv6() -> bool:
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


def test_the_range_of_outgoing_connections_is_the_kernels(tmp_path: Path) -> None:
    file = tmp_path / "sys/net/ipv4/ip_local_port_range"
    assert listening.ephemeral_ports(tmp_path) == range(32768, 61000)
    file.parent.mkdir(parents=True)
    file.write_text("1024\t20000\n")
    assert listening.ephemeral_ports(tmp_path) == range(1024, 20001)


@pytest.mark.parametrize("taken", [range(32768, 61000), range(10000, 60000), range(1024, 65000)])
def test_a_port_outside_of_that_range_is_chosen(taken: range) -> None:
    port = listening.choose_port(LOCAL, taken)
    assert port not in taken
    listening.check(LOCAL, port)


def test_where_the_range_has_every_port_a_free_one_is_chosen() -> None:
    listening.check(LOCAL, listening.choose_port(LOCAL, range(1, 65536)))


def test_a_port_on_which_an_outgoing_connection_sits_is_taken_and_its_program_is_named() -> None:
    with socket.create_server((LOCAL, 0)) as far, socket.socket() as outgoing:
        outgoing.bind((LOCAL, 0))
        outgoing.connect(far.getsockname())
        port = outgoing.getsockname()[1]
        with pytest.raises(CannotListen) as refused:
            listening.check("0.0.0.0", port)
    name = Path("/proc/self/comm").read_text().strip()
    assert str(refused.value) == f"port {port} is used by {name} (pid {os.getpid()})"
    assert "Set port in [access]" in refused.value.hint


def test_a_holder_that_cannot_be_seen_is_another_program(tmp_path: Path) -> None:
    assert listening.holder_of(1, tmp_path) == ""


def test_an_address_of_another_machine_is_told_as_such() -> None:
    with pytest.raises(CannotListen, match=r"cannot listen at 192\.0\.2\.1") as refused:
        listening.check("192.0.2.1", 20000)
    assert "Set bind in [access]" in refused.value.hint


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_the_address_of_all_takes_both_kinds() -> None:
    with listening.listen("::", 0) as found:
        port = found.getsockname()[1]
        for address in ("::1", LOCAL):
            with socket.create_connection((address, port), 10):
                pass


@pytest.mark.parametrize(
    ("typed", "host"),
    [("[2001:db8::1]", "2001:db8::1"), ("2001:db8::1", "2001:db8::1"), ("fe80::1%eth0", "fe80::1%eth0")]
    + [(name, name) for name in ("jump.example", "10.0.0.5", "[odd]", "")],
)
def test_an_ipv6_address_is_given_to_ssh_without_brackets(typed: str, host: str) -> None:
    assert listening.plain_host(typed) == host
