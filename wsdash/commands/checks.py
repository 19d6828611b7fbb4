"""What `wsdash doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `remedy` says what to do where something is to be done."""

    subject: str
    verdict: Verdict
    text: str
    remedy: str = ""
