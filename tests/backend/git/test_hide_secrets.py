"""Secrets of addresses are left out of documents; all else stays as it is."""

from __future__ import annotations

from typing import Any

import pytest

from wsdash.backend.git.hide_secrets import SecretHider
from wsdash.workload import Command, EnvVar, Source, Workload

TOKEN = "glpat-" + "x" * 20


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("git clone https://ada:MARKER@host/x.git", "git clone https://host/x.git"),
        (f"https://{TOKEN}@host/x", "https://host/x"),
        ("curl 'https://host/?private_token=MARKER&a=1'", "curl 'https://host/?private_token=***&a=1'"),
        ("postgres://app:MARKER@db/app and https://other/", "postgres://db/app and https://other/"),
    ],
)
def test_a_secret_of_an_address_is_left_out_and_the_address_noted(text: str, shown: str) -> None:
    hider = SecretHider()
    assert hider.of_workload({"line": text}) == {"line": shown}
    assert len(hider.addresses) == 1
    assert "MARKER" not in hider.addresses[0] and TOKEN not in hider.addresses[0]


@pytest.mark.parametrize(
    "text",
    [
        "git clone https://$USER:${TOKEN}@host/x",
        "git clone https://oauth2:{{token}}@host/x",
        "https://host/?private_token=$TOKEN",
        "http://localhost:${PORT}/a@b?raw",
        "https://host.example/@scope/x?ref=main#top git@host:x",
        "a@b.example, no address",
        "",
    ],
)
def test_variables_and_texts_without_a_secret_stay(text: str) -> None:
    hider = SecretHider()
    assert hider.of_workload({"line": text}) == {"line": text}
    assert hider.addresses == []


def test_every_text_of_a_workload_is_looked_through() -> None:
    address = "https://ada:MARKER@host/x.git"
    workload = Workload(
        source=Source(address),
        env=(EnvVar("A", address),),
        post_start=(Command("clone", f"git clone {address}"),),
    )
    hidden = SecretHider().of_workload(workload)
    assert "MARKER" not in str(hidden)
    assert hidden.source is not None and hidden.source.url == "https://host/x.git"
    assert hidden.post_start == (Command("clone", "git clone https://host/x.git"),)


def test_a_remote_needs_no_scheme_and_a_variable_that_was_part_of_a_secret_is_hidden_too() -> None:
    hidden: dict[str, Any] = SecretHider().of_devfile(
        {
            "variables": {"token": "MARKER-long", "port": "8080"},
            "projects": [{"git": {"remotes": {"origin": "ada:MARKER-long@host:x.git"}}}],
        }
    )
    assert "MARKER" not in str(hidden)
    assert hidden["variables"]["port"] == "8080"
