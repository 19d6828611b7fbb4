"""The ports of a workspace: those of its job, beside those of its devfile."""

from __future__ import annotations

import pytest

from wsdash.backend.job.ports import Listener, OpenPort, listeners, listens, ports
from wsdash.workload import Port

WEB, DEBUG = Port("web", 8080), Port("debug", 9229)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("00000000 1F90 node", (Listener(8080, False, "node"),)),
        ("0100007F 1F90 node", (Listener(8080, True, "node"),)),
        (f"{'0' * 24}01000000 1F90 node", (Listener(8080, True, "node"),)),
        (f"{'0' * 16}FFFF00000100007F 1F90 java", (Listener(8080, True, "java"),)),
        (f"{'0' * 32} 1F90 java", (Listener(8080, False, "java"),)),
        ("0100007F 1F90 node\n00000000 1F90 node", (Listener(8080, False, "node"),)),
        ("00000000 1F90 my program", (Listener(8080, False, "my program"),)),
        ("00000000 0000 node", ()),
        ("motd of a profile\n00000000 1F9 node\nzz 1F90 node", ()),
        ("", ()),
    ],
)
def test_a_line_is_an_address_a_port_and_a_program(said: str, found: tuple[Listener, ...]) -> None:
    assert listeners(said.encode()) == found


def test_the_devfiles_ports_and_those_found_are_one_list_by_number() -> None:
    node, postgres = Listener(8080, False, "node"), Listener(5432, True, "post\x1bgres")
    found = ports((DEBUG, WEB), (node, postgres))
    assert found.ports == (
        OpenPort(5432, None, postgres),
        OpenPort(8080, WEB, node),
        OpenPort(9229, DEBUG, None),
    )
    said = [listens(port, is_known=found.is_known) for port in found.ports]
    assert said[1:] == ["node", "nothing yet"]
    assert "\x1b" not in said[0]


def test_what_cannot_be_asked_is_not_called_silent() -> None:
    found = ports((WEB,), None)
    assert [listens(port, is_known=found.is_known) for port in found.ports] == [""]
