"""`wsdash connect`, which the user's ssh runs: why a workspace cannot be entered, for people and programs."""

from __future__ import annotations

from argparse import Namespace

import pytest

from wsdash.backend.errors import UserError
from wsdash.commands import proxy_command
from wsdash.paths import Paths


def test_the_reason_and_what_to_do_are_one_line_of_standard_error(
    monkeypatch: pytest.MonkeyPatch, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise UserError("web is stopped:\nas wanted", "`wsdash start web --wait` starts it.")

    monkeypatch.setattr(proxy_command, "with_service", refuse)
    with pytest.raises(SystemExit) as ended:
        proxy_command.connect(Namespace(name="web.wsdash", timeout=1.0), paths)
    assert ended.value.code == 1
    written = capsys.readouterr()
    assert (written.out, written.err) == (
        "",
        "wsdash: web is stopped: as wanted. `wsdash start web --wait` starts it.\n",
    )
