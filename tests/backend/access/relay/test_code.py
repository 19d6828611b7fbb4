"""Which relay makes room for a new one: a row a case."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from wsdash.backend.access.relay.code import VERSION, Needed, code_mark, why_replace

WANT = Needed("0.0.0.0", 8022, "jump.example", "/venv/wsdash", "c0de", "0.2.0")
SAME = asdict(WANT)
SETTINGS, CODE, OLD = "its settings have changed", "its code has changed", "it is of an older version"


@pytest.mark.parametrize(
    ("about", "why"),
    [
        (SAME, ""),
        ({**SAME, "port": 8023}, SETTINGS),
        ({**SAME, "bind": "127.0.0.1"}, SETTINGS),
        ({**SAME, "host": "other.example"}, SETTINGS),
        ({**SAME, "code": "01d"}, CODE),
        ({**SAME, "version": VERSION - 1}, OLD),
        ({**SAME, "version": VERSION + 1}, ""),
        ({}, OLD),
        ({**SAME, "package": "/other/wsdash", "code": "01d"}, ""),
        ({**SAME, "package": "/other/wsdash", "code": "01d", "release": "0.1.9"}, OLD),
        ({**SAME, "package": "/other/wsdash", "code": "01d", "release": "0.10.0"}, ""),
        ({**SAME, "package": "/gone/wsdash"}, "its code was removed"),
    ],
)
def test_which_relay_makes_room(about: dict[str, object], why: str) -> None:
    assert why_replace(about, WANT, lambda folder: not folder.startswith("/gone")) == why


def test_files_that_are_written_anew_have_another_mark(tmp_path: Path) -> None:
    file = tmp_path / "relay" / "server.py"
    file.parent.mkdir()
    file.write_text("one = 1\n")
    before = code_mark(tmp_path)
    assert code_mark(tmp_path) == before
    file.write_text("one = 11\n")
    assert code_mark(tmp_path) != before
