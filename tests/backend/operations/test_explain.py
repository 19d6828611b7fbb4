"""The explanation of a workspace's phase."""

from __future__ import annotations

import re

from tests.backend.builders import NOW
from wsdash.backend.operations.explain import facts


def test_facts_tell_instants_as_local_times_and_leave_out_what_is_for_programs() -> None:
    output = facts({"job": "running", "last_beat_at": NOW, "after": 3, "log_start": 5, "saved_at": None})
    assert output.keys() == {"job", "last_beat", "after"}
    assert (output["job"], output["after"]) == ("running", "3")
    assert re.fullmatch(r"at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", output["last_beat"])
