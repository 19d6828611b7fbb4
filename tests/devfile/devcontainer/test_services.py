"""The containers beside the one that the user works in."""

from __future__ import annotations

import pytest

from tests.devfile.devcontainer.examples import codes, translated
from wsdash.devfile import Translation
from wsdash.devfile.devcontainer.services import idle

FILE = ".devcontainer/docker-compose.yml"


PROPERTIES = {"dockerComposeFile": "docker-compose.yml", "service": "app"}


def composed(text: str, more: dict[str, object] | None = None, **files: str) -> Translation:
    named = {f".devcontainer/{name}": content for name, content in files.items()}
    return translated({**PROPERTIES, **(more or {})}, {FILE: text, **named})


def test_a_service_without_an_image_is_left_out_and_the_rest_runs() -> None:
    found = composed("services: {app: {image: a}, tool: {build: .}}")
    assert found.usable
    assert found.workload.services == ()
    assert "compose.build" in codes(found)


def test_only_the_services_that_are_wanted_run_with_what_they_depend_on() -> None:
    text = "services: {app: {image: a}, db: {image: d, depends_on: {disk: {}}}, disk: {image: k}, idle: {image: i}}"
    found = composed(text, {"runServices": ["db"]})
    assert [service.name for service in found.workload.services] == ["db", "disk"]


@pytest.mark.parametrize(
    ("command", "keeps_alive"),
    [
        ((), True),
        (("sleep", "infinity"), True),
        (("tail", "-f", "/dev/null"), True),
        (("/bin/sh", "-c", "while sleep 1000; do :; done"), True),
        (("npm", "start"), False),
        (("sleep", "1", "&&", "npm", "start"), False),
    ],
)
def test_a_command_that_only_keeps_a_container_alive_is_known(
    command: tuple[str, ...], keeps_alive: bool
) -> None:
    assert idle(command) is keeps_alive
