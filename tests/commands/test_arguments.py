"""Arguments that several actions of a verb have in common."""

from __future__ import annotations

import pytest

from wsdash import cli

NAMED = ["attach", "stop", "send", "screen", "why", "wait"]


@pytest.mark.parametrize("action", ["start", "list", *NAMED])
def test_each_action_on_sessions_waits_for_the_workspace_as_long_as_it_is_told(action: str) -> None:
    words = [
        "session",
        "web",
        action,
        *(["s"] if action in NAMED else []),
        *(["text"] if action == "send" else []),
    ]
    args = cli.build_parser(["session"]).parse_args([*words, "--timeout", "7"])
    assert (args.name, args.action, args.timeout) == ("web", action, 7.0)
    assert getattr(args, "session", None) == ("s" if action in NAMED else None)


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "soon"])
def test_a_time_that_is_none_is_a_usage_error(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.build_parser(["session"]).parse_args(["session", "web", "list", "--timeout", text])
    assert caught.value.code == 2
    assert "invalid number of seconds" in capsys.readouterr().err
