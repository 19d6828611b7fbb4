"""Commands that a hint gives to be run hold a path as a shell takes it: also one with blanks and worse."""

from __future__ import annotations

import shlex
from pathlib import Path

import keyring
import pytest
from keyring.backends.fail import Keyring

from wsdash.backend.git.source import explain
from wsdash.backend.providers.errors import PreconditionFailed
from wsdash.backend.providers.gitlab.api.tokens import find, store
from wsdash.config.settings import ConfigError, load_config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "eve's work; rm -rf $HOME"
    made.mkdir()
    return made


def test_the_remedy_for_a_config_that_others_may_write(folder: Path) -> None:
    file = folder / "config.toml"
    file.write_text("")
    file.chmod(0o666)
    with pytest.raises(ConfigError) as refused:
        load_config(file)
    assert shlex.split(str(refused.value).partition("Run: ")[2]) == ["chmod", "go-w", str(file)]


def test_the_remedy_for_tokens_that_others_may_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring.core, "_keyring_backend", Keyring())  # type: ignore[no-untyped-call]
    file = folder / "tokens.toml"
    store("https://gitlab.example", "glpat-1", file)
    file.chmod(0o644)
    with pytest.raises(PreconditionFailed) as refused:
        find("https://gitlab.example", file, {})
    assert shlex.split(refused.value.hint.partition("Run: ")[2]) == ["chmod", "600", str(file)]


def test_the_remedy_for_a_repository_of_another_user(folder: Path) -> None:
    hint = explain("fatal: detected dubious ownership in repository", str(folder), None).hint
    words = ["git", "config", "--global", "--add", "safe.directory", str(folder)]
    assert shlex.split(hint.partition(": ")[2]) == words
