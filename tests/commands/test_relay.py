"""`wsdash relay`: what runs, why it does not, and its end."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from wsdash import cli
from wsdash.backend.access.relay_client import RelayClient
from wsdash.config.settings import load_config
from wsdash.paths import Paths

SCHEMA = Path(__file__).parents[2] / "docs/reference/schemas/relay.json"


@pytest.fixture
def client(paths: Paths) -> Iterator[RelayClient]:
    """With [access] in config.toml."""
    paths.config.mkdir()
    paths.config_file.write_text('[access]\nhost = "127.0.0.1"\nbind = "127.0.0.1"\n')
    found = RelayClient(paths, load_config(paths.config_file).access)
    yield found
    found.process.end()


def status(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = cli.main(["relay", *arguments, "--json"])
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, {**json.loads(SCHEMA.read_text()), "additionalProperties": False})
    return code, document


def test_one_that_runs_is_reported_and_ended(client: RelayClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(capsys)[0] == 1
    client.ensure_running()
    code, found = status(capsys, "--status")
    assert code == 0
    assert found["running"]
    assert (found["host"], found["port"], found["connected"]) == ("127.0.0.1", client.address.port, [])
    assert cli.main(["relay"]) == 0
    assert f"listens at 127.0.0.1 port {client.address.port}" in capsys.readouterr().out
    assert cli.main(["relay", "--stop"]) == 0
    assert "has ended; jobs keep running" in capsys.readouterr().out
    assert not client.is_running()
    assert cli.main(["relay", "--stop"]) == 0
    assert capsys.readouterr().out == "No relay is running.\n"
    code, found = status(capsys, "--stop")
    assert (code, found["running"]) == (0, False)


def test_a_port_that_is_taken_is_told(client: RelayClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.folder.prepare()
    with socket.create_server(("127.0.0.1", client.address.port)):
        code, found = status(capsys)
        assert code == 1
        assert f"port {client.address.port} is used by " in found["problem"]
        assert "Set port in [access]" in found["remedy"]
        assert cli.main(["relay"]) == 1
        assert f"port {client.address.port} is used by " in capsys.readouterr().out


def test_other_settings_are_told_until_they_are_taken_up(
    client: RelayClient, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    client.ensure_running()
    paths.config_file.write_text('[access]\nhost = "other.example"\nbind = "127.0.0.1"\n')
    assert "settings have changed" in status(capsys)[1]["problem"]
    RelayClient(paths, load_config(paths.config_file).access).ensure_running()
    code, found = status(capsys)
    assert (code, found["host"], found["problem"]) == (0, "other.example", None)


def test_without_access_it_is_said_what_is_missing(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["relay"]) == 1
    assert "[access] in config.toml names no host" in capsys.readouterr().out
