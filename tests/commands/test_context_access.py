"""`wsdash context add` sets up the way by which jobs connect to this machine, in scripts too."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from wsdash import cli
from wsdash.backend.errors import UserError
from wsdash.backend.operations import connect_gitlab
from wsdash.backend.operations.connect_gitlab import ContextRequest
from wsdash.backend.providers.types import Finding
from wsdash.backend.service import Service
from wsdash.config.settings import load_config
from wsdash.paths import Paths


@pytest.mark.usefixtures("leaves_nothing_running")
def test_a_script_names_this_machine_or_leaves_it_out(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def check(*_: object) -> list[Finding]:
        return []

    monkeypatch.setattr(connect_gitlab, "check", check)
    monkeypatch.setenv("WSDASH_GITLAB_TOKEN", "glpat-given")
    paths.config.mkdir()
    paths.config_file.write_text("[access]  # the way in\nbind = '127.0.0.1'\n")
    add = ["context", "add", "work", "--url", "https://gitlab.example.com", "--project", "group/app", "--yes"]
    assert cli.main([*add, "--no-access"]) == 0
    assert load_config(paths.config_file).access.host is None
    assert cli.main([*add, "--json"]) == 0
    capsys.readouterr()
    assert cli.main(["context", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1]["access"] == "none"
    assert cli.main([*add, "--access-host", "a b"]) == 2
    assert "is not the name or address of a machine" in capsys.readouterr().err
    assert cli.main([*add, "--access-host", "127.0.0.1", "--json"]) == 0
    access = json.loads(capsys.readouterr().out)["access"]
    assert access["host"] == "127.0.0.1"
    assert any("the relay answers" in found["text"] for found in access["findings"])
    assert "[access]  # the way in\nbind = '127.0.0.1'\n" in paths.config_file.read_text()
    assert cli.main(["context", "list"]) == 0
    assert "untested" in capsys.readouterr().out
    assert cli.main(["relay", "--stop"]) == 0


async def test_the_form_of_the_dashboard_sets_it_too(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(*_: object) -> list[Finding]:
        return []

    monkeypatch.setattr(connect_gitlab, "check", check)
    async with Service.open(paths) as service:
        request = ContextRequest("work", "https://gitlab.example.com", "group/app", "glpat-typed")
        assert "cannot be entered" in (await service.contexts.check_context(request)).findings[0].message
        with pytest.raises(UserError, match="is not the name or address") as refused:
            await service.contexts.check_context(replace(request, access_host="a b"))
        assert refused.value.field == "access_host"
        seen = await service.contexts.check_context(replace(request, access_host="jump.example"))
        assert seen.findings == ()
        await service.contexts.add_context(seen)
        assert (await service.contexts.config()).access.host == "jump.example"
