"""Secrets as masked variables of the project: values that GitLab cannot mask, and roles that may not keep them."""

from __future__ import annotations

from typing import cast

import pytest

from wsdash.backend.clone_address import Credential
from wsdash.backend.providers.errors import PermanentError, PreconditionFailed
from wsdash.backend.providers.gitlab.api import ci_variables
from wsdash.backend.providers.gitlab.api.endpoints import GitLabApi
from wsdash.backend.providers.gitlab.api.errors import Forbidden


class Api:
    """The variables of a project."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.there: dict[str, str] = {"OTHERS": "x"}
        self.refuses = refuses

    def _check(self) -> None:
        if self.refuses:
            raise Forbidden("403", "")

    async def create_variable(self, project: int, name: str, value: str) -> None:
        self._check()
        assert name not in self.there
        self.there[name] = value

    async def delete_variable(self, project: int, name: str) -> None:
        self._check()
        self.there.pop(name, None)

    async def variable_names(self, project: int) -> list[str]:
        self._check()
        return list(self.there)


def of(api: Api) -> GitLabApi:
    return cast(GitLabApi, api)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("short", "fewer than 8"),
        ("has a blank", "blanks"),
        ("line\nend-long", "line breaks"),
        ("tab\there", "blanks"),
    ],
)
async def test_a_value_that_would_stand_in_logs_is_refused_and_nothing_is_kept(
    value: str, reason: str
) -> None:
    api = Api()
    with pytest.raises(PermanentError, match=reason) as refused:
        await ci_variables.keep(of(api), 1, "w1", {"GOOD": "long-enough", "BAD": value})
    assert value not in str(refused.value)
    assert set(api.there) == {"OTHERS"}


async def test_secrets_of_one_workspace_are_kept_and_forgotten_and_no_others() -> None:
    api = Api()
    await ci_variables.keep(of(api), 1, "w1", {"TOKEN": "long-enough"})
    await ci_variables.keep(of(api), 1, "w12", {"TOKEN": "long-enough"})
    assert api.there["WSDASH_w1_TOKEN"] == "long-enough"
    await ci_variables.forget(of(api), 1, "w1")
    assert set(api.there) == {"OTHERS", "WSDASH_w12_TOKEN"}


async def test_who_is_no_maintainer_is_told_whom_to_ask_and_forgets_nothing() -> None:
    api = Api(refuses=True)
    with pytest.raises(
        PreconditionFailed, match="only maintainers of the project may store the secret TOKEN"
    ):
        await ci_variables.keep(of(api), 1, "w1", {"TOKEN": "long-enough"})
    await ci_variables.forget(of(api), 1, "w1")


async def test_credentials_are_kept_but_none_for_the_instance_itself() -> None:
    lines = ("https://ada:MARKER@git.example", "https://ada:MARKER@gitlab.example")
    credentials = [found for line in lines if (found := Credential.of_line(line)) is not None]
    api = Api()
    for _ in range(2):
        await ci_variables.keep_credentials(of(api), 1, "w1", "https://gitlab.example", credentials)
    assert {name: value for name, value in api.there.items() if name != "OTHERS"} == {
        "WSDASH_w1_GIT_CREDENTIAL_0": "https://ada:MARKER@git.example"
    }
    with pytest.raises(PreconditionFailed, match=r"git\.example") as refused:
        await ci_variables.keep_credentials(
            of(Api(refuses=True)), 1, "w1", "https://x.example", credentials[:1]
        )
    assert "MARKER" not in str(refused.value)
