"""Profiles are data: those that come with wsdash are sound, and a wrong one of the user's is named."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from wsdash.backend.sessions.profiles import ProfileError, for_command, load, parse

FILE = Path("/nowhere/profiles.toml")


def test_those_that_come_with_wsdash_can_be_read_and_say_of_when_they_are() -> None:
    found = load(FILE)
    assert {"claude", "codex", "gemini", "opencode", "aider"} <= set(found)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", profile.as_of) for profile in found.values())


def test_the_users_own_replace_them(tmp_path: Path) -> None:
    own = tmp_path / "profiles.toml"
    own.write_text('[claude]\nstart = "my-claude"\n\n[watch]\nstart = "make watch"\nquiet_s = 20\n')
    found = load(own)
    assert (found["claude"].start, found["claude"].waiting, found["watch"].quiet_s) == ("my-claude", (), 20)
    assert "codex" in found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a", "not valid TOML"),
        ("a = 1", "profile a must be a table"),
        ("[a]\n", "needs start"),
        ('[a]\nstart = "x"\nstrat = "x"\n', "unknown key strat"),
        ('[a]\nstart = "x\\ny"\n', "start must be a text of one line"),
        ('[a]\nstart = "x"\nquiet_s = 0\n', "quiet_s must be"),
        ('[a]\nstart = "x"\nenv = ["A-B"]\n', "cannot be the name of a variable"),
        ('[a]\nstart = "x"\nwaiting = ["("]\n', "no regular expression"),
        ('[a]\nstart = "x"\nwaiting = "x"\n', "waiting must be a list"),
    ],
)
def test_a_wrong_one_is_named_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(ProfileError, match=problem) as caught:
        parse(text, "profiles.toml")
    assert str(caught.value).startswith("profiles.toml")


HOSTILE = "it's $(rm -rf ~); {uuid} `x`\" \\"


def test_a_prompt_is_one_word_whatever_it_holds() -> None:
    profile = load(FILE)["claude"].filled("u-1", HOSTILE)
    assert shlex.split(profile.start) == ["claude", "--session-id", "u-1", HOSTILE]
    assert profile.resume == "claude --resume u-1"
    assert shlex.split(load(FILE)["aider"].filled("u", HOSTILE).start)[-1] == HOSTILE
    assert load(FILE)["claude"].filled("u-1", "").start == "claude --session-id u-1"


def test_a_command_is_watched_as_the_profile_of_its_programs_name_says() -> None:
    profiles = load(FILE)
    found = for_command(profiles, ("/opt/bin/claude", "--model", "a b"))
    assert (found.name, found.start, found.resume) == ("claude", "exec /opt/bin/claude --model 'a b'", "")
    assert found.waiting == profiles["claude"].waiting
    assert for_command(profiles, ("make", "watch")).name == ""
