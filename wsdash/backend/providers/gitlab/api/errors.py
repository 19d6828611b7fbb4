"""Translates GitLab's error answers into errors with a message and a hint. Pure.

The texts and codes are those of GitLab's REST API documentation ("REST API troubleshooting", "Rate limits")
and of the checks at the creation of pipelines. A server's answer is untrusted text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wsdash.backend.providers.errors import PermanentError, PreconditionFailed, ProviderError, Unreachable
from wsdash.sanitize import one_line

LONGEST = 300
"""Most characters of a server's message that an error quotes."""

LIMIT_IN_WORDS = "too many pipelines created in the last minute"
"""The text of GitLab's answer 400 (not 429) for the rate limit on pipelines."""


class NotFound(PreconditionFailed):
    """The object does not exist, or this user may not see it: GitLab's answer is the same for both."""


class Forbidden(PreconditionFailed):
    """The user's role, the token's scopes or a rule of the project forbids it."""


class TokenRefused(PreconditionFailed):
    """The token has expired, was revoked, or never belonged to this instance."""


class RateLimited(Unreachable):
    """GitLab's rate limit is exceeded until `retry_at`, if GitLab says how long."""


class Rejected(PermanentError):
    """GitLab has checked the request and rejects it."""

    def __init__(self, message: str, hint: str = "", reason: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason
        """GitLab's own words."""


def of_answer(status: int, headers: Mapping[str, str], body: bytes, what: str) -> ProviderError:
    """Return the error for an unsuccessful answer; `what` names the requested thing.

    `RateLimited.retry_at` is left to `rate_limiter`, which has the clock.
    """
    reason = reason_in(body)
    words = reason.lower()
    if status == 429 or LIMIT_IN_WORDS in words:
        return RateLimited(
            f"GitLab asks for fewer requests, so {what} must wait",
            "wsdash retries automatically; nothing is lost.",
        )
    if status == 401:
        return TokenRefused(
            f"GitLab rejects the token at {what}: {reason or '401 Unauthorized'}",
            "It has expired or was revoked. Create a new one with the scope api, and give it to"
            " `wsdash context add` for the same context.",
        )
    if status == 403 and "insufficient_scope" in body[:4096].decode(errors="replace"):
        return Forbidden(
            f"the token's scopes do not allow {what}",
            "Create a token with the scope api, and give it to `wsdash context add` for the same context.",
        )
    if status == 403:
        return Forbidden(f"GitLab forbids {what}: {reason or '403 Forbidden'}", _remedy_of_role(words))
    if status == 404:
        return NotFound(
            f"GitLab does not find {what}",
            "It was moved or deleted, or your user may not see it: compare the context's project in"
            " config.toml with its page.",
        )
    if status in (400, 409, 422):
        return _of_rejection(reason, words, what)
    if status == 503:
        return Unreachable(
            f"GitLab is not available for {what}: it is being maintained or overloaded",
            "wsdash retries automatically.",
        )
    if status >= 500:
        return Unreachable(f"GitLab failed at {what} with status {status}", "wsdash retries automatically.")
    if 300 <= status < 400:
        target = one_line(headers.get("Location", ""))[:LONGEST]
        return NotFound(
            f"{what} has moved{f' to {target}' if target else ''}", "Correct the address in config.toml."
        )
    return Unreachable(f"GitLab answered {what} with status {status}, which is unexpected", reason)


def reason_in(body: bytes) -> str:
    """Return GitLab's own words in an unsuccessful answer: one line, shortened to a readable length."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return one_line("; ".join(_texts(document)))[:LONGEST]


def no_json(body: bytes, what: str) -> Unreachable:
    """Return the error for an answer that should be JSON but is not."""
    start = body[:512].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return Unreachable(
            f"{what} was answered with a web page instead of data",
            "Check that the address is GitLab's, and that no login page or proxy is in front of it.",
        )
    return Unreachable(
        f"GitLab's answer to {what} was incomplete or damaged", "wsdash retries automatically."
    )


def of_exception(error: Exception, url: str, what: str) -> ProviderError:
    """Return the error for a request without an answer, by the exceptions of the library `requests`."""
    import requests

    text = str(error).lower()
    if isinstance(error, requests.exceptions.SSLError):
        return _of_certificate(text, url)
    if isinstance(error, requests.exceptions.ProxyError):
        return Unreachable(
            f"the proxy on the way to {url} refused {what}",
            "Check HTTPS_PROXY and NO_PROXY in your environment.",
        )
    if isinstance(error, requests.exceptions.Timeout):
        return Unreachable(f"{url} did not answer {what} in time", "wsdash retries automatically.")
    if "name or service not known" in text or "failed to resolve" in text or "nodename" in text:
        return Unreachable(
            f"the host name of {url} cannot be resolved", "Check the address, the network and DNS."
        )
    if "connection refused" in text:
        return Unreachable(f"nothing listens at {url}", "Check the address. wsdash retries automatically.")
    if isinstance(error, requests.exceptions.RequestException):
        return Unreachable(f"the connection to {url} broke at {what}", "wsdash retries automatically.")
    return Unreachable(f"{what} at {url} failed: {type(error).__name__}", "wsdash retries automatically.")


def _of_certificate(text: str, url: str) -> PreconditionFailed:
    if "hostname mismatch" in text or "doesn't match" in text:
        return PreconditionFailed(
            f"the certificate at {url} is for another name",
            "Check the address; the connection may be intercepted.",
        )
    if "expired" in text:
        return PreconditionFailed(
            f"the certificate at {url} has expired", "Ask the administrator of that GitLab to renew it."
        )
    return PreconditionFailed(
        f"the certificate at {url} is signed by an unknown authority",
        "If it is your organisation's own, set ca_file of the context to the file of its certificate authorities.",
    )


def _of_rejection(reason: str, words: str, what: str) -> ProviderError:
    blocked = (
        ("pipelines are disabled", "Enable CI/CD: Settings > General > Visibility, CI/CD."),
        ("insufficient permissions to set pipeline variables", "Ask a maintainer to allow them."),
        ("insufficient permissions to create a new pipeline", "You need the role Developer or higher."),
        ("do not have sufficient permission to run a pipeline", _BRANCHES),
        ("protected branch", _BRANCHES),
        ("not allowed to push", _BRANCHES),
        ("project is deleted", "Choose another project for the context."),
        ("import is complete", "Wait until the import is complete."),
        ("too many active jobs", "Wait until some have ended, or ask for a higher limit."),
        ("does not follow the pattern", _PUSH_RULES),
        ("commit message", _PUSH_RULES),
        ("branch name", _PUSH_RULES),
        ("unsigned", _PUSH_RULES),
        ("file is larger", _PUSH_RULES),
        ("identity verification", "Verify your identity in GitLab's own pages."),
        ("quota", "Buy minutes, wait for the next month, or use runners of your own."),
        ("is archived", "Choose another project for the context, or have it unarchived."),
    )
    for sign, hint in blocked:
        if sign in words:
            return PreconditionFailed(f"GitLab refuses {what}: {reason}", hint)
    return Rejected(f"GitLab refuses {what}: {reason or 'it gives no reason'}", reason=reason)


_BRANCHES = (
    "Have a maintainer unprotect branches named wsdash/*, or use a project of your own (placement own)."
)
_PUSH_RULES = "A push rule of the project rejects it: use a project of your own (placement own)."


def _remedy_of_role(words: str) -> str:
    if "archived" in words:
        return "Have the project unarchived, or choose another one for the context."
    return "You need the role Developer or higher there; ask a maintainer of the project."


def _texts(value: Any) -> list[str]:  # noqa: ANN401
    """Return all texts in the several shapes of GitLab's `message`, `error` and `errors`."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    if isinstance(value, dict):
        keys = [key for key in ("message", "error_description", "error", "errors") if key in value]
        return [text for key in keys or value for text in _texts(value[key])]
    return []
