"""Contexts in config.toml: only a file that says what is meant is written, and nothing is half done."""

from __future__ import annotations

import pytest

from wsdash.backend.errors import UserError
from wsdash.backend.operations import context_file
from wsdash.backend.providers.gitlab.api import tokens
from wsdash.config.settings import LOCAL, Context, GitLabSettings, load_config
from wsdash.paths import Paths

WORK = GitLabSettings("https://gitlab.example.com", "group/app")


@pytest.mark.parametrize("name", ["", "local", "a b", "-x", "é", "a.b", "a\n"])
def test_a_name_that_cannot_be_one_is_refused_beside_its_field(name: str) -> None:
    with pytest.raises(UserError) as refused:
        context_file.check_name(name)
    assert (refused.value.field, refused.value.exit_code) == ("name", 2)


def test_settings_are_checked_as_in_the_file_and_the_error_names_the_key() -> None:
    assert context_file.settings_of({"url": WORK.url, "project": WORK.project, "tags": ()}, "work") == WORK
    with pytest.raises(UserError, match="timeout_s"):
        context_file.settings_of({"url": WORK.url, "project": WORK.project, "timeout_s": -1.0}, "work")
    with pytest.raises(UserError, match="url"):
        context_file.settings_of({"url": "https://ada:MARKER@host", "project": "a/b"}, "work")


def test_a_context_is_added_with_what_differs_from_the_usual_and_its_hosts_stay(paths: Paths) -> None:
    context_file.add("work", WORK, None, paths)
    assert load_config(paths.config_file).contexts["work"] == Context("work", "gitlab", WORK)
    text = paths.config_file.read_text()
    assert "poll_s" not in text
    paths.config_file.write_text(f'{text}allowed_hosts = ["host.example"]\n')
    context_file.add("work", WORK, None, paths)
    assert load_config(paths.config_file).contexts["work"].allowed_hosts == ("host.example",)


def test_a_file_whose_layout_is_not_understood_is_left_to_the_user(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.config.mkdir(exist_ok=True)
    paths.config_file.write_text("# mine\n")
    meant = load_config(paths.config_file)
    with pytest.raises(UserError, match="layout that wsdash cannot edit") as refused:
        context_file.save(paths, 'default_context = "other"\n', meant)
    assert 'default_context = "local"' in refused.value.hint
    with pytest.raises(UserError, match="layout that wsdash cannot edit"):
        context_file.save(paths, "[[", meant)
    assert paths.config_file.read_text() == "# mine\n"


def test_a_token_that_cannot_be_kept_is_an_error_that_names_its_file(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tokens, "store", full)
    with pytest.raises(UserError, match="could not be stored: No space left") as refused:
        context_file.add("work", WORK, "glpat-MARKER", paths)
    assert str(paths.credentials_file) in refused.value.hint
    assert "MARKER" not in paths.config_file.read_text()


def test_a_token_is_forgotten_with_the_last_context_of_its_instance(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[str] = []
    monkeypatch.setattr(tokens, "forget", lambda url, _: forgotten.append(url))
    for name in ("one", "two"):
        context_file.add(name, WORK, None, paths)
    context_file.use("two", paths)
    assert context_file.remove("one", paths, []) == "two"
    assert forgotten == []
    assert context_file.remove("two", paths, []) == LOCAL.name
    assert forgotten == [WORK.url]


def test_a_context_with_workspaces_is_kept(paths: Paths) -> None:
    context_file.add("work", WORK, None, paths)
    with pytest.raises(UserError, match=r"a0, a1, a2, a3, a4, \.\.\.") as refused:
        context_file.remove("work", paths, [f"a{number}" for number in range(7)])
    assert "`wsdash delete a0`" in refused.value.hint
    assert "work" in load_config(paths.config_file).contexts
