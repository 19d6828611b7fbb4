"""The server's answers while a fault is switched on."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from tests.gitlab_server.faults import Fault, Switched

PAGE = "<!DOCTYPE html><html><body>GitLab is not here</body></html>"
SLOW_S = 600.0

_INVALID = {
    Fault.TOKEN_EXPIRED: "Token is expired. You can either do re-authorization or token refresh.",
    Fault.TOKEN_REVOKED: "Token was revoked. You have to re-authorize from the user.",
}
_SCOPE = "The request requires higher privileges than provided by the access token."
_TOO_OFTEN = "This endpoint has been requested too many times. Try again later."
_TOO_MANY = "Too many pipelines created in the last minute. Try again later."
_PLAIN: dict[Fault, tuple[int, object]] = {
    Fault.APPLICATION_LIMIT: (429, {"message": {"error": _TOO_OFTEN}}),
    Fault.PIPELINE_LIMIT: (400, {"message": {"base": [_TOO_MANY]}}),
    **{fault: (401, {"error": "invalid_token", "error_description": t}) for fault, t in _INVALID.items()},
    Fault.INSUFFICIENT_SCOPE: (
        403,
        {"error": "insufficient_scope", "error_description": _SCOPE, "scope": "api"},
    ),
    Fault.ROLE_TOO_LOW: (403, {"message": "403 Forbidden"}),
    Fault.ARCHIVED: (403, {"message": "403 Forbidden - The project is archived"}),
    Fault.NOT_FOUND: (404, {"message": "404 Project Not Found"}),
    Fault.SERVER_ERROR: (500, {"message": "500 Internal Server Error"}),
}
_DEEP = {Fault.DEEP: 200, Fault.DEEP_ERROR: 400}
_PAGES = {Fault.MAINTENANCE: 503, Fault.BAD_GATEWAY: 502, Fault.WEB_PAGE: 200}


async def answer(
    switched: Switched,
    request: web.Request,
    handler: Any,  # noqa: ANN401
    now: float,
    stopping: asyncio.Event,
) -> web.StreamResponse:
    """The broken answer; `now` is the server's time, `stopping` is set when it ends."""
    fault = switched.fault
    if fault in _PLAIN:
        status, body = _PLAIN[fault]
        return web.json_response(body, status=status)
    if fault in _PAGES:
        return web.Response(status=_PAGES[fault], text=PAGE, content_type="text/html")
    if fault in _DEEP:
        return web.Response(status=_DEEP[fault], text="[" * 200_000, content_type="application/json")
    match fault:
        case Fault.TOO_MANY_REQUESTS:
            wait = switched.retry_after or 1
            headers = {
                "Retry-After": str(wait),
                "RateLimit-Limit": "600",
                "RateLimit-Remaining": "0",
                "RateLimit-Reset": str(int(now) + wait),
            }
            return web.Response(status=429, text="Retry later\n", headers=headers)
        case Fault.MOVED:
            target = str(request.url.with_path("/api/v4/projects/0"))
            return web.Response(status=301, headers={"Location": target})
        case Fault.TRUNCATED:
            whole = await handler(request)
            body = whole.body[: len(whole.body) // 2]
            return web.Response(status=whole.status, body=body, content_type="application/json")
        case Fault.SLOW:
            await asyncio.wait({asyncio.ensure_future(stopping.wait())}, timeout=SLOW_S)
        case Fault.LOST_REPLY:
            await handler(request)
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=500)
