"""The outline of a job's workload."""

from __future__ import annotations

from tests.screens.conftest import Running, until
from tests.screens.stub import StubService
from wsdash.screens.text_page import PageScreen
from wsdash.screens.widgets.line_view import LineScroll
from wsdash.screens.workload_page import outline


def text_of(value: object, width: int = 60) -> list[str]:
    return ["".join(text for text, _ in line) for line in outline(value, width)]


def test_values_are_indented_below_their_names_and_lists_are_numbered() -> None:
    workload = {"image": "debian", "env": [{"name": "A", "value": "1"}], "ports": [80, 443], "cpus": 0}
    assert text_of(workload) == [
        "image: debian",
        "env",
        "  1.",
        "    name: A",
        "    value: 1",
        "ports",
        "  - 80",
        "  - 443",
        "cpus: 0",
    ]


def test_empty_values_are_left_out_and_a_workload_of_nothing_says_so() -> None:
    assert text_of({"image": None, "env": [], "name": "", "memory": {}}) == ["nothing"]
    assert text_of({"a": [""]}) == ["a", "  - "]


def test_lines_of_a_command_stay_below_each_other_and_obey_nothing() -> None:
    assert text_of({"line": "make\n\x1b[2Jtest"}) == ["line: make", "      test"]
    assert max(map(len, text_of({"line": "word " * 40}, 30))) <= 30


async def test_the_page_shows_the_workload_of_the_selected_workspace(
    stub: StubService, running: Running
) -> None:
    stub.workload = '{"image": "docker.io/library/python:3.12", "env": []}'
    async with running((80, 24)) as pilot:
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, PageScreen))
        page = pilot.app.screen.query_one(LineScroll)
        await until(pilot, lambda: page.text == "image: docker.io/library/python:3.12")
