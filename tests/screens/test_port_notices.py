"""Ports that begin to listen are offered once, and the one that was offered last is opened."""

from __future__ import annotations

from wsdash.backend.job.ports import Listener, Ports, ports
from wsdash.screens.port_notices import PortNotices
from wsdash.workload import Port


def listening(*numbers: int) -> Ports:
    declared = (Port("web", 8080, "http", "public", "/"),)
    return ports(declared, [Listener(number, loopback=True, program="node") for number in numbers])


def offered(notices: PortNotices, *numbers: int) -> list[int]:
    return [port.number for port in notices.begun("w1", listening(*numbers))]


def test_what_listens_at_the_first_look_is_no_news_and_the_rest_is_offered_once() -> None:
    notices = PortNotices()
    assert offered(notices, 22) == []
    assert offered(notices, 22, 3000) == [3000]
    assert offered(notices, 22) == []
    assert offered(notices, 22, 3000, 8080) == [8080], "8080 is declared, and listens only now"


def test_ports_that_the_kernel_chooses_are_not_offered() -> None:
    notices = PortNotices()
    offered(notices)
    assert offered(notices, 41234) == []


def test_a_workspace_that_does_not_answer_changes_nothing() -> None:
    notices = PortNotices()
    assert notices.begun("w1", ports((), None)) == []
    assert offered(notices, 3000) == []


def test_the_page_is_the_last_offered_port_else_a_declared_one() -> None:
    notices = PortNotices()
    assert notices.page("w1", listening()) is None
    assert notices.page("w1", listening(22, 8080)) == 8080
    offered(notices, 22, 8080)
    offered(notices, 22, 8080, 3000)
    assert notices.page("w1", listening(22, 3000, 8080)) == 3000
