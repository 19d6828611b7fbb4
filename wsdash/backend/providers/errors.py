"""Errors of providers, classified by how the caller can react."""

from __future__ import annotations

from wsdash.backend.errors import WsdashError


class ProviderError(WsdashError):
    """The provider refused a call; `hint` names the remedy, `retry_at` the earliest retry."""

    exit_code = 4
    retry_at: float | None = None
    """The earliest time at which a retry is useful or allowed; None if unknown."""


class Unreachable(ProviderError):
    """The provider did not answer, so its state is unknown."""


class PermanentError(ProviderError):
    """The request itself is wrong: a retry will not help."""


class NotRunning(PermanentError):
    """The workspace has no job that could be entered now. With the desired state running it gets another one."""


class OwnershipLost(PermanentError):
    """Another state store owns the workspace now, according to the provider."""


class PreconditionFailed(ProviderError):
    """Nothing was done, because the user must fix something first: a token, a role, a setting or a quota.

    wsdash retries from time to time, so that it continues by itself after the fix.
    """


class InProgress(ProviderError):
    """The operation has begun and is not done yet: call it again until it is."""


class NotSupported(PermanentError):
    """The provider lacks a feature that a command needs. The message names the command, the hint an alternative."""

    exit_code = 1

    def __init__(self, kind: str, verb: str, hint: str) -> None:
        super().__init__(f"the provider {kind} cannot {verb}", hint)
