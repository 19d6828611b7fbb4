"""The archive for a report: what is hidden in it, and what stays readable."""

from __future__ import annotations

import pytest

from wsdash.backend.operations.support import Redactor


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "fatal: bad token {}",
        '{{"value": "{}"}}',
        "https://ann:{}@git.example.com/app.git",
        "https://git.example.com/app.git?private_token={}",
        "PRIVATE-TOKEN: {}",
        "Authorization: Bearer {}",
        "API_KEY={}",
        "password = '{}'",
    ],
)
@pytest.mark.parametrize("secret", ['p/ss "word"', "hunter2hunter2", "glpat-abcdefghij0123456789"])
def test_a_known_secret_is_hidden_wherever_it_stands(text: str, secret: str) -> None:
    assert secret not in Redactor([secret])(text.format(secret))


@pytest.mark.parametrize(
    "text",
    [
        "PRIVATE-TOKEN: hunter2hunter2",
        "Authorization: Bearer hunter2hunter2",
        "DB_PASSWORD=hunter2hunter2 make",
        '"client_secret": "hunter2hunter2"',
        "https://ann:hunter2hunter2@git.example.com/app.git",
    ],
)
def test_what_looks_like_a_secret_is_hidden_though_nobody_knows_it(text: str) -> None:
    assert "hunter2hunter2" not in Redactor([])(text)


def test_all_else_stays_as_it_is() -> None:
    text = "2026-11-30 launched attempt #3 as job 4711 of group/app@main; tokens: 3 of 5; secretary=yes"
    assert Redactor(["main", "#3", ""])(text).replace("***", "yes") == text
