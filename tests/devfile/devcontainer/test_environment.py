"""Variables of a Dev Container's container and of its tools."""

from __future__ import annotations

from tests.devfile.devcontainer.examples import env, translated

IMAGE = {"image": "debian:13"}


def test_variables_of_the_container_and_of_the_tools_are_one_environment() -> None:
    found = translated(
        {
            **IMAGE,
            "containerEnv": {"MODE": "dev", "GONE": "x", "HOME_OF": "${containerWorkspaceFolder}/bin"},
            "runArgs": ["-eFROM_RUN=1", "--env", "MODE=run", "--env=LAST=a=b"],
            "remoteEnv": {
                "GONE": None,
                "PATH": "${containerEnv:PATH}:/opt/bin",
                "SEEN": "${containerEnv:MODE}",
            },
        }
    )
    assert env(found) == {
        "MODE": "run",
        "HOME_OF": "${PROJECT_SOURCE}/bin",
        "FROM_RUN": "1",
        "LAST": "a=b",
        "PATH": "${PATH}:/opt/bin",
        "SEEN": "run",
    }
    expands = {variable.name: variable.expands for variable in found.workload.env if variable.expands}
    assert expands == {"HOME_OF": ("PROJECT_SOURCE",), "PATH": ("PATH",)}
