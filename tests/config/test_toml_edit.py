from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.config.toml_edit import line_of, with_top_level, with_values, without_table

TEXT = """\
default_context = "local"
dashboard.mouse = true

[policy]  # limits
max_hours = 8
"quiet_s" = 60

[contexts.gpu-1]
provider = "local"

[contexts.'gpu-2']
provider = "local"
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("default_context",), 1),
        (("dashboard", "mouse"), 2),
        (("policy",), 4),
        (("policy", "max_hours"), 5),
        (("policy", "quiet_s"), 6),
        (("policy", "ladder_s"), 4),
        (("contexts", "gpu-1", "provider"), 9),
        (("contexts", "gpu-2", "provider"), 12),
        (("elsewhere",), None),
    ],
)
def test_the_line_of_a_key_is_found(path: tuple[str, ...], line: int | None) -> None:
    assert line_of(TEXT, path) == line


@given(st.sampled_from(["", "# a comment\n", 'name = "old"\nx = 1\n', "[a]\nname = 2\n", TEXT]))
def test_setting_a_top_level_key_changes_that_key_only(text: str) -> None:
    before = tomllib.loads(text)
    after = tomllib.loads(with_top_level(text, "name", "new"))
    assert after == {**before, "name": "new"}


def test_a_table_goes_with_those_inside_it() -> None:
    text = "[a]\nx = 1\n[a.b]\ny = 2\n[c]\nz = 3\n[a.d]\ny = 1\n[[e]]\n[[e]]\n"
    assert tomllib.loads(without_table(text, ("a",))) == {"c": {"z": 3}, "e": [{}, {}]}
    assert tomllib.loads(without_table(text, ("a", "b"))) == {
        "a": {"x": 1, "d": {"y": 1}},
        "c": {"z": 3},
        "e": [{}, {}],
    }


@given(
    st.sampled_from(["", "# a comment\n", "[access]  # mine\nport = 8022\n", "access.port = 8022\n", TEXT])
)
def test_keys_are_set_in_a_table_that_keeps_its_others(text: str) -> None:
    before = tomllib.loads(text)
    after = with_values(text, ("access",), {"host": "jump.example"})
    access = {**before.get("access", {}), "host": "jump.example"}
    assert tomllib.loads(after) == {**before, "access": access}
    assert ("# mine" in after) == ("# mine" in text)
