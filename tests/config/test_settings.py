"""The paths of wsdash's files, and the settings of config.toml."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.config.settings import Config, ConfigError, Dashboard, load_config, parse_config, policy_for
from wsdash.model import Policy
from wsdash.paths import PathError, Paths, file_system, host_local, private_folder

FILE = Path("/home/dev/.config/wsdash/config.toml")
MOUNTS = """\
22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /home rw,relatime - nfs4 server:/home rw
31 22 0:41 / /home/local\\040disk rw - xfs /dev/vdb rw
32 22 0:42 / /mnt/share rw master:1 - fuse.sshfs box: rw
"""


def test_one_variable_moves_everything(tmp_path: Path) -> None:
    paths = Paths.from_environment({"WSDASH_HOME": str(tmp_path)})
    assert (paths.state, paths.config, paths.cache) == (
        tmp_path / "state",
        tmp_path / "config",
        tmp_path / "cache",
    )


def test_the_xdg_folders_hold_where_they_are_set(tmp_path: Path) -> None:
    paths = Paths.from_environment(
        {
            "XDG_STATE_HOME": str(tmp_path / "s"),
            "XDG_CONFIG_HOME": str(tmp_path / "c"),
            "XDG_CACHE_HOME": "relative",
        }
    )
    assert paths.state == tmp_path / "s" / "wsdash"
    assert paths.config == tmp_path / "c" / "wsdash"
    assert paths.cache == Path.home() / ".cache" / "wsdash"


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/homework", "ext4"),
        ("/home/dev/.local/state/wsdash", "nfs4"),
        ("/home/local disk/dev", "xfs"),
        ("/mnt/share", "fuse.sshfs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(folder: str, kind: str) -> None:
    assert file_system(Path(folder), MOUNTS) == kind


@given(st.text())
def test_any_text_of_mounts_is_read(text: str) -> None:
    assert file_system(Path("/home"), text) is None or " - " in text


def test_state_on_a_network_file_system_is_moved_to_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsdash.paths.file_system", lambda _: "nfs4")
    folder, notice = host_local(Path("/home/dev/state"))
    assert folder == Path(f"/var/tmp/wsdash-{os.geteuid()}")
    assert notice is not None
    assert "nfs4" in notice


def test_a_private_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    (tmp_path / "open").mkdir(mode=0o755)
    private_folder(tmp_path / "open")
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o700


def test_a_link_or_a_file_is_no_private_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link", "file/below"):
        with pytest.raises(PathError, match="WSDASH_HOME"):
            private_folder(tmp_path / name)


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert load_config(tmp_path / "config.toml") == Config()


def test_a_whole_file_is_read() -> None:
    text = """
default_context = "spare"
[contexts.spare]
provider = "local"
[policy]
max_hours = 8
ladder_s = [1, 2.5]
start_limit = 3
[dashboard]
mouse = false
ascii = true
theme = "wsdash-light"
handover = false
"""
    settings = parse_config(text, FILE)
    assert settings.default_context == "spare"
    assert settings.contexts["spare"].provider == "local"
    assert settings.policy == {"max_hours": 8.0, "ladder_s": (1.0, 2.5), "start_limit": 3}
    assert settings.dashboard == Dashboard(mouse=False, ascii=True, theme="wsdash-light", handover=False)


GITLAB_TABLE = "[contexts.gl]\nprovider = 'gitlab'\nurl = 'https://gitlab.example.com'\nproject = 'a/b'\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[polcy]\n", 1, ["polcy", "policy"]),
        ("\n[dashboard]\nmose = true\n", 3, ["dashboard.mose", "mouse"]),
        ("[policy]\nmax_hours = '8'\n", 2, ["policy.max_hours", "a number above 0"]),
        ("[policy]\nmax_hours = true\n", 2, ["a number above 0"]),
        ("[policy]\nmax_hours = nan\n", 2, ["a number above 0"]),
        ("[policy]\nmax_hours = -1\n", 2, ["a number above 0"]),
        ("[policy]\nmax_hours = 1e308\n", 2, ["a number above 0, up to 10000000"]),
        (f"[policy]\nmax_hours = 1{'0' * 400}\n", 2, ["a number above 0, up to 10000000"]),
        (f"[policy]\nstart_limit = 1{'0' * 400}\n", 2, ["a whole number from 1 to 10000000"]),
        ("[policy]\nladder_s = [1, 0]\n", 2, ["above 0"]),
        ("[policy]\nladder_s = 5\n", 2, ["a list"]),
        ("[policy]\nstart_limit = 0\n", 2, ["a whole number from 1"]),
        ("[policy]\nsuspect_s = 90\n", 2, ["suspect_s", "less than 90"]),
        ("[dashboard]\nmouse = 1\n", 2, ["true or false"]),
        ("[dashboard]\ntheme = ''\n", 2, ["a text in quotes"]),
        ("policy = 5\n", 1, ["policy", "a table"]),
        ("contexts = []\n", 1, ["contexts", "a table"]),
        ("[contexts.gl]\nprovider = 'kubernetes'\n", 2, ["gl", "one of local"]),
        ("[contexts.gl]\n", 1, ["gl", "one of local"]),
        (f"{GITLAB_TABLE}volume = '/v'\n", 5, ["no tags to select its runner", "tags"]),
        (f"{GITLAB_TABLE}tags = ['t']\nvolume = '/v/../x'\n", 6, ["volume", "the path of a folder"]),
        (f"{GITLAB_TABLE}tags = ['t']\nvolume = '/v $HOME'\n", 6, ["volume", "the path of a folder"]),
        ("[contexts.'a b']\nprovider = 'local'\n", 1, ["'a b'", "letters"]),
        (
            "[contexts.gl]\nprovider = 'local'\nurl = 'https://example.com'\n",
            3,
            ["contexts.gl.url", "provider"],
        ),
        ("default_context = 'nowhere'\n", 1, ["nowhere", "one of local"]),
        ("a = 1\nb = = 2\n", 2, ["toml.io"]),
    ],
)
def test_an_error_names_the_file_the_line_and_what_would_be_right(
    text: str, line: int, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, FILE)
    message = str(caught.value)
    assert message.startswith(str(FILE))
    assert f"line {line}" in message
    assert all(word in message for word in words)


VALUES = st.recursive(
    st.none().filter(bool) | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abmouse_p", min_size=1), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["policy", "dashboard", "contexts", "default_context", "x"]), VALUES))
def test_whatever_a_file_holds_it_is_settings_or_an_error_that_names_the_file(
    document: dict[str, Any],
) -> None:
    text = "".join(f"{key} = {toml(value)}\n" for key, value in document.items())
    try:
        assert isinstance(parse_config(text, FILE), Config)
    except ConfigError as error:
        assert str(FILE) in str(error)


def toml(value: object) -> str:
    """A value as TOML on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return (
            '"' + "".join(f"\\U{ord(char):08X}" for char in value if not 0xD800 <= ord(char) < 0xE000) + '"'
        )
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + "}"
    return str(value)


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.toml")
    with pytest.raises(ConfigError, match="is not a file"):
        load_config(tmp_path / "config.toml")


def test_what_is_nested_too_deeply_is_told() -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse_config("x = " + "[" * 100_000, FILE)


def test_a_number_that_python_does_not_read_is_told() -> None:
    with pytest.raises(ConfigError, match="a number of thousands of digits"):
        parse_config("x = " + "9" * 5000, FILE)


def test_a_file_that_is_not_utf_8_or_not_readable_is_told(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"theme = '\xe4'")
    for name, words in (("latin", "not UTF-8"), (".", "cannot be read")):
        with pytest.raises(ConfigError, match=words):
            load_config(tmp_path / name)


def test_restarts_on_this_machine_wait_a_tenth(paths: Paths) -> None:
    usual = Policy()
    assert policy_for(paths.config_file, "local").ladder_s == (1.5, 3.0, 6.0, 12.0, 30.0, 60.0)
    assert policy_for(paths.config_file, "local").dead_s == usual.dead_s


def test_the_users_limits_overrule_the_defaults(paths: Paths) -> None:
    paths.config.mkdir()
    paths.config_file.write_text("[policy]\nladder_s = [7]\nidle_minutes = 30\n")
    policy = policy_for(paths.config_file, "local")
    assert (policy.ladder_s, policy.idle_minutes, policy.start_limit) == ((7.0,), 30.0, Policy().start_limit)


def test_the_documented_defaults_are_the_defaults(paths: Paths) -> None:
    document = Path(__file__).parents[2] / "docs" / "configuration.md"
    block = document.read_text().partition("```toml\n")[2].partition("```")[0]
    settings = parse_config(block, FILE)
    assert (settings.default_context, settings.contexts) == (Config().default_context, Config().contexts)
    assert settings.dashboard == Dashboard()
    assert replace(policy_for(paths.config_file, "local"), **settings.policy) == policy_for(
        paths.config_file, "local"
    )
    everything = parse_config(re.sub(r"^# (?=\w+ = )", "", block, flags=re.M), FILE)
    assert everything.policy.keys() == {field.name for field in fields(Policy)}
