"""Errors of providers, by what the caller can do about them."""

from __future__ import annotations

from wsdash.backend.errors import WsdashError


class ProviderError(WsdashError):
    """The provider refused a call; `hint` names the remedy, `retry_at` the earliest retry."""

    exit_code = 4
    retry_at: float | None = None
    """Before this instant asking again is useless, or forbidden; None where nothing is known of that."""


class Unreachable(ProviderError):
    """The provider could not be asked, so nothing is known."""


class PermanentError(ProviderError):
    """What was asked is wrong in itself: trying again will not help."""


class NotRunning(PermanentError):
    """The workspace has no job that could be entered now. One that is wanted running gets another one."""


class OwnershipLost(PermanentError):
    """Another state store keeps this workspace alive now, and the provider knows it."""


class PreconditionFailed(ProviderError):
    """Nothing was done, and somebody must fix something first: a token, a role, a setting, a quota.

    It is asked again from time to time, so that all goes on by itself once it is fixed.
    """


class InProgress(ProviderError):
    """It has been begun and takes its time: asked again it goes on, until it is done."""


class NotSupported(PermanentError):
    """The provider has not got the feature that a verb needs: which verb, and what to do without it."""

    exit_code = 1

    def __init__(self, kind: str, verb: str, hint: str) -> None:
        super().__init__(f"the provider {kind} cannot {verb}", hint)
