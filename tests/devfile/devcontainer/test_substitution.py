"""Variables of the Dev Container specification, replaced before a job runs."""

from __future__ import annotations

import pytest

from tests.devfile.devcontainer.examples import env, translated

IMAGE = {"image": "debian:13"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${localEnv:WHO}", "me"),
        ("${env:WHO}", "me"),
        ("${localEnv:NONE:usual}", "usual"),
        ("${localEnv:NONE:a:b}", "a"),
        ("${localEnv:NONE}", ""),
        ("${localWorkspaceFolderBasename}", "api"),
        ("${containerWorkspaceFolderBasename}", "api"),
        ("${unknown:thing}", "${unknown:thing}"),
        ("$HOME `id` ${}", "$HOME `id` ${}"),
    ],
)
def test_variables_are_replaced_as_the_specification_says(text: str, value: str) -> None:
    assert env(translated({**IMAGE, "containerEnv": {"A": text}}, local_env={"WHO": "me"})) == {"A": value}
