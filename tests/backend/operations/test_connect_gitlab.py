"""What a user typed for a context is checked before GitLab is asked, and each error names its field."""

from __future__ import annotations

import pytest

from wsdash.backend.errors import UserError
from wsdash.backend.operations import connect_gitlab
from wsdash.backend.operations.connect_gitlab import ContextRequest, preview
from wsdash.backend.providers.gitlab.api.tokens import Credential
from wsdash.backend.providers.types import Finding
from wsdash.config.settings import GitLabSettings
from wsdash.paths import Paths

URL = "https://gitlab.example.com"


@pytest.fixture(autouse=True)
def gitlab(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A GitLab that knows eight projects; the tokens that it was asked with."""
    asked: list[str] = []

    async def check(settings: GitLabSettings, token: str, paths: Paths) -> list[Finding]:
        asked.append(token)
        return [Finding("blocked" if settings.project == "group/none" else "ok", "an answer")]

    async def projects(settings: GitLabSettings, token: str, paths: Paths) -> list[str]:
        return [f"group/p{number}" for number in range(8)]

    monkeypatch.setattr(connect_gitlab, "check", check)
    monkeypatch.setattr(connect_gitlab, "projects", projects)
    monkeypatch.setattr(connect_gitlab, "credentials", lambda *_: [])
    return asked


async def refused(paths: Paths, request: ContextRequest) -> UserError:
    with pytest.raises(UserError) as error:
        await preview(request, paths, {})
    return error.value


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ContextRequest("", URL), "name"),
        (ContextRequest("local", URL), "name"),
        (ContextRequest("work", ""), "url"),
        (ContextRequest("work", "https://ada:MARKER@host", "a/b"), "url"),
        (ContextRequest("work", URL, "a/b", placement="nowhere"), "placement"),
        (ContextRequest("work", URL, "a/b"), "token"),
        (ContextRequest("work", URL, token="t"), "project"),
    ],
)
async def test_an_error_names_its_field_and_nothing_is_asked(
    paths: Paths, gitlab: list[str], request_: ContextRequest, field: str
) -> None:
    error = await refused(paths, request_)
    assert error.field == field
    assert "MARKER" not in str(error) + error.hint
    assert gitlab == []


async def test_without_a_project_a_few_of_the_users_own_are_named(paths: Paths) -> None:
    error = await refused(paths, ContextRequest("work", URL, token="t"))
    assert "group/p0" in error.hint and "group/p5, ..." in error.hint and "group/p6" not in error.hint


async def test_a_token_of_this_machine_is_used_and_named_by_its_source(
    paths: Paths, gitlab: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [Credential(token="found", source="the keyring"), Credential(token="other", source="a file")]
    monkeypatch.setattr(connect_gitlab, "credentials", lambda *_: there)
    found = await preview(ContextRequest("work", URL, "/group/app/"), paths, {})
    assert (found.token, found.token_source, found.settings.project) == ("found", "the keyring", "group/app")
    typed = await preview(ContextRequest("work", URL, "group/app", token="typed"), paths, {})
    assert (typed.token, typed.token_source) == ("typed", "")
    assert gitlab == ["found", "typed"]
    assert "typed" not in repr(typed)


async def test_a_context_is_blocked_where_one_finding_is(paths: Paths) -> None:
    assert (await preview(ContextRequest("work", URL, "group/none", token="t"), paths, {})).is_blocked
    assert not (await preview(ContextRequest("work", URL, "group/app", token="t"), paths, {})).is_blocked
