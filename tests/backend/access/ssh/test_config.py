"""The user's ssh configuration is theirs: one line is put in, once, and taken out again without a trace."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ordinary_users import FOR_EVERY_HOST
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.ssh.config import stanza, users, with_include, without_include

FILE = Path("/home/ada/.local/state/wsdash/access/ssh_config")
TEXTS = st.lists(st.sampled_from(["Host a", "  User b", "", "# note", "Include other", "Match all"])).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)


def test_the_line_stands_before_every_host() -> None:
    text = with_include("Host old\n    User me\n", FILE)
    assert text.index("Include") < text.index("Host old")
    assert with_include(text, FILE) == text


@given(TEXTS)
def test_what_was_put_in_is_taken_out_and_nothing_else(text: str) -> None:
    assert without_include(with_include(text, FILE), FILE) == text
    assert without_include(text, FILE) == text


@pytest.mark.parametrize(
    "before", ["Host *\n    User deploy\n", "User deploy\n", "# mine\nMatch all\n  Port 1\n"]
)
def test_a_line_that_stands_where_ssh_has_its_answer_already_is_moved_up(before: str) -> None:
    line = with_include("", FILE).splitlines()[1]
    moved = with_include(f"{before}{line}\n", FILE)
    assert moved.index(line) < moved.index(before)
    assert without_include(moved, FILE) == before


def test_other_included_files_may_come_first() -> None:
    text = f"# tools\nInclude ~/.orb/config\n{with_include('', FILE)}"
    assert with_include(text, FILE) == text


def test_the_stanza_pins_the_workspace_and_forwards_no_agent() -> None:
    text = stanza(AccessFolder(Path("/state/access")), "ada")
    assert "\nHost *.wsdash " in text
    assert "StrictHostKeyChecking yes" in text
    assert 'UserKnownHostsFile "/state/access/known_hosts"' in text
    assert "ForwardAgent no" in text


def test_a_name_is_no_shell_to_whom_it_is_handed_and_one_with_an_apostrophe_is_not_ours(
    tmp_path: Path,
) -> None:
    """OpenSSH before 9.6 puts the typed name into the command as it is."""
    file = tmp_path / "config"
    file.write_text(stanza(AccessFolder(Path("/home/ada lovelace/100%/access")), "ada"))

    def options(name: str) -> str:
        argv = ["ssh", "-G", "-F", str(file), "--", name]
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout

    command = re.search(r"^proxycommand (.*)$", options("web.wsdash"), re.MULTILINE)
    assert command is not None
    words = shlex.split(command[1].replace("%%", "%"))
    assert words[-3:] == ["--in", "/home/ada lovelace/100%/access", "%n"]
    assert command[1].endswith(" '%n'")
    assert "proxycommand" not in options("a'b.wsdash")
    assert 'userknownhostsfile "' not in options("web.wsdash")


def test_nothing_is_taken_from_what_is_said_for_all_hosts(tmp_path: Path) -> None:
    """Options that add up are left out: what is not ours can only be added."""
    ours = stanza(AccessFolder(tmp_path), "ada")
    adds_up = ("identityfile", "sendenv", "localforward", "userknownhostsfile")

    def options(text: str) -> list[str]:
        file = tmp_path / "config"
        file.write_text(text)
        argv = ["ssh", "-G", "-F", str(file), "web.wsdash"]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        return [line for line in done.stdout.splitlines() if not line.startswith(adds_up)]

    # Not stated, and without harm: no local command is run, and no password is asked for.
    harmless = re.compile(r"(setenv|passwordauthentication|localcommand|canonicaldomains) ")
    busy = options(ours + FOR_EVERY_HOST.format(taken=8080))
    usual = [line for line in options(ours) if not harmless.match(line)]
    assert [line for line in busy if not harmless.match(line)] == usual


def test_a_job_s_user_comes_before_that_of_this_machine(tmp_path: Path) -> None:
    folder = AccessFolder(tmp_path)
    folder.ssh_users.write_text(users({"web": "root", "": "nobody"}))
    file = tmp_path / "config"
    file.write_text(f"{stanza(folder, 'ada')}Host *\n    User deploy\n")

    def user(name: str) -> str:
        argv = ["ssh", "-G", "-F", str(file), name]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[[line[:5] for line in done.stdout.splitlines()].index("user ")]

    assert [user(name) for name in ("web.wsdash", "local.wsdash", "other")] == [
        "user root",
        "user ada",
        "user deploy",
    ]
