"""The one shape of errors: what is told, with which exit code, and never with a secret."""

from __future__ import annotations

import pytest

from wsdash.backend.errors import UserError, WsdashError, as_failure
from wsdash.backend.git.source import SourceError
from wsdash.backend.providers.errors import NotSupported, ProviderError, Unreachable
from wsdash.commands.errors import fail

ADDRESS = "https://ada:s3cret@git.example.com/app.git"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("it failed"), 1),
        (UserError("there is none", exit_code=3), 3),
        (ProviderError("it refused"), 4),
        (Unreachable("it is silent"), 4),
        (NotSupported("memory", "open a shell", "Read its log."), 1),
        (SourceError("no such ref", field="ref"), 1),
        (SourceError("git did not answer", unreachable=True), 4),
    ],
    ids=lambda value: str(value),
)
def test_the_exit_code_is_that_of_the_class_unless_another_is_named(error: WsdashError, code: int) -> None:
    assert fail(error) == code


def test_a_secret_of_an_address_is_in_no_part_of_any_error() -> None:
    for error in (
        UserError(f"cannot read {ADDRESS}", f"Look at {ADDRESS}.", details=(f"1: {ADDRESS}",)),
        ProviderError(f"cannot read {ADDRESS}", f"Look at {ADDRESS}."),
        SourceError(f"cannot read {ADDRESS}", f"Look at {ADDRESS}."),
    ):
        assert "s3cret" not in repr((str(error), error.args, error.message, error.hint, error.details))
        assert "git.example.com/app.git" in error.message


def test_what_a_verb_needs_of_its_provider_fails_the_verb_and_names_the_field() -> None:
    with pytest.raises(Unreachable) as caught, as_failure("secrets"):
        raise Unreachable("it is silent", "Try again.")
    assert (caught.value.exit_code, caught.value.field, caught.value.hint) == (1, "secrets", "Try again.")
