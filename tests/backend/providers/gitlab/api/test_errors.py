"""Every refusal of GitLab that a user can meet, as GitLab words it: what happened, and what to do. One row each."""

from __future__ import annotations

import json

import pytest

from wsdash.backend.providers.errors import PreconditionFailed, ProviderError, Unreachable
from wsdash.backend.providers.gitlab.api import errors
from wsdash.backend.providers.gitlab.api.errors import (
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    TokenRefused,
)
from wsdash.backend.providers.gitlab.observe import failure_reasons

WHAT = "a pipeline for wsdash/abc"
PUSH = "push rule"
OWN = "placement own"


def base(text: str) -> dict[str, object]:
    return {"message": {"base": [text]}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "hint"),
    [
        (401, {"message": "401 Unauthorized"}, TokenRefused, "context add"),
        (401, {"error": "invalid_token", "error_description": "Token was revoked."}, TokenRefused, "revoked"),
        (403, {"error": "insufficient_scope", "scope": "api"}, Forbidden, "scope api"),
        (403, {"message": "403 Forbidden"}, Forbidden, "Developer"),
        (403, {"message": "403 Forbidden  - The project is archived"}, Forbidden, "unarchived"),
        (404, {"message": "404 Project Not Found"}, NotFound, "moved or deleted"),
        (400, base("Pipelines are disabled!"), PreconditionFailed, "Enable CI/CD"),
        (400, base("Insufficient permissions to set pipeline variables"), PreconditionFailed, "maintainer"),
        (400, base("Insufficient permissions to create a new pipeline"), PreconditionFailed, "Developer"),
        (
            400,
            base("You do not have sufficient permission to run a pipeline on 'x'"),
            PreconditionFailed,
            OWN,
        ),
        (400, {"message": "You are not allowed to push into this branch"}, PreconditionFailed, OWN),
        (
            400,
            {"message": "GitLab: You are not allowed to push code to protected branches"},
            PreconditionFailed,
            OWN,
        ),
        (
            400,
            {"message": "GitLab: Commit message does not follow the pattern '[A-Z]+-\\d+'"},
            PreconditionFailed,
            OWN,
        ),
        (400, {"message": "Branch name does not follow the pattern 'feature/.*'"}, PreconditionFailed, PUSH),
        (
            400,
            {"message": "GitLab: Commit must be signed with a GPG key: unsigned"},
            PreconditionFailed,
            PUSH,
        ),
        (400, {"message": "File is larger than the allowed size of 1 MiB"}, PreconditionFailed, PUSH),
        (
            400,
            base("Identity verification is required in order to run CI jobs"),
            PreconditionFailed,
            "Verify",
        ),
        (400, base("CI/CD quota exceeded for this namespace"), PreconditionFailed, "minutes"),
        (400, base("Project is deleted!"), PreconditionFailed, "another project"),
        (400, base("Too many active jobs"), PreconditionFailed, "Wait"),
        (400, base("Project import is not over: wait until import is complete"), PreconditionFailed, "Wait"),
        (400, base("jobs:workspace config contains unknown keys: x"), Rejected, ""),
        (
            400,
            base("Too many pipelines created in the last minute. Try again later."),
            RateLimited,
            "retries automatically",
        ),
        (
            429,
            {"message": {"error": "This endpoint has been requested too many times."}},
            RateLimited,
            "retries automatically",
        ),
        (429, "Retry later", RateLimited, "retries automatically"),
        (500, {"message": "500 Internal Server Error"}, Unreachable, "retries"),
        (502, "<html>GitLab is not responding</html>", Unreachable, "retries"),
        (503, "<html>Deploy in progress</html>", Unreachable, "retries"),
        (302, "", NotFound, "config.toml"),
        (418, {"message": "odd"}, Unreachable, "odd"),
    ],
)
def test_each_refusal_says_what_was_asked_what_happened_and_what_to_do(
    status: int, body: object, kind: type[ProviderError], hint: str
) -> None:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    error = errors.of_answer(status, {}, data, WHAT)
    assert type(error) is kind
    assert WHAT in error.message
    assert hint in error.hint
    # What only somebody else can mend is asked again from time to time; what is wrong in itself is not.
    assert isinstance(error, PreconditionFailed) is (
        status < 429 and kind not in (Rejected, RateLimited, Unreachable)
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("certificate verify failed: certificate has expired", "expired"),
        ("certificate verify failed: self-signed certificate", "unknown authority"),
        ("hostname mismatch, certificate is not valid for 'x'", "another name"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_somebodys_to_mend(name: str, words: str) -> None:
    import requests

    error = errors.of_exception(requests.exceptions.SSLError(name), "https://gitlab.example.com", WHAT)
    assert isinstance(error, PreconditionFailed) and words in error.message and error.hint


@pytest.mark.parametrize("hostile", ["\x1b[2J\x07title", "x" * 100_000, "a\nb\r\nc"])
def test_a_servers_words_are_one_short_line_without_control_characters(hostile: str) -> None:
    error = errors.of_answer(400, {}, json.dumps({"message": hostile}).encode(), WHAT)
    assert error.message.isprintable() and len(error.message) < 2 * errors.LONGEST


@pytest.mark.parametrize("name", failure_reasons.REASONS)
def test_each_reason_that_gitlab_gives_for_a_jobs_end_has_words_of_its_own(name: str) -> None:
    assert failure_reasons.reason_of(name).text != failure_reasons.reason_of("something_new").text
