"""Requests to one GitLab instance as one user: python-gitlab in a small pool of threads.

python-gitlab blocks, sleeps when it is rate-limited, and has no timeout of its own; this client does none of that. The
only retry is for a read on an idle connection that had been closed.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wsdash import __version__
from wsdash.backend.providers.errors import PermanentError, PreconditionFailed, Unreachable
from wsdash.backend.providers.gitlab.api import errors
from wsdash.backend.providers.gitlab.api.rate_limit import RateLimiter
from wsdash.sanitize import one_line

if TYPE_CHECKING:
    import ssl

    from gitlab import Gitlab
    from requests import Response, Session

THREADS = 4
CONNECT_S = 10.0
READ_S = 30.0
TOTAL_S = 60.0
MOST_BYTES = 20 * 1024 * 1024
LEAST_SKEW_S = 2.0
"""Smallest clock difference that is believed, in seconds: GitLab reports whole seconds, and answers take time."""

Query = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its JSON, its headers by lower-case name, and the time of its arrival on our clock.

    Add `skew`, in seconds, to a time of GitLab's to convert it to our clock.
    """

    data: Any
    headers: Mapping[str, str]
    at: float
    skew: float


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a text from `offset` on, and the length of the whole text."""

    data: bytes
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class GitLabClient:
    """A client. `url` is the instance's address; `token` returns the access token, which is never shown or stored.

    `ca_file` has certificate authorities to trust in addition to the usual ones. Proxies are those of the environment.
    `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        *,
        rate_limiter: RateLimiter,
        clock: Callable[[], float],
        ca_file: str | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self._rate_limiter = rate_limiter
        self._clock = clock
        self._ca_file = ca_file
        self._pool = ThreadPoolExecutor(THREADS, "wsdash-gitlab")
        self._seen = threading.local()
        self._making = threading.Lock()
        self._gitlab: Gitlab | None = None
        self._token_used = ""

    async def call(
        self,
        method: str,
        path: str,
        *,
        what: str,
        query: Query | None = None,
        body: Mapping[str, object] | None = None,
        urgent: bool = True,
    ) -> Reply:
        """Send a request to `path` below /api/v4. `what` names the requested thing in errors.

        Raises `Unreachable` if the outcome is unknown, `PreconditionFailed` if the user must fix something first,
        `Rejected` if GitLab does not accept the request.
        """
        answer = await self._ask(lambda: self._send(method, path, query, body, what), what, urgent)
        if not answer.body:
            return self._reply(None, answer)
        try:
            return self._reply(json.loads(answer.body), answer)
        except (ValueError, RecursionError):
            raise errors.no_json(answer.body, what) from None

    async def graphql(
        self, query: str, variables: Mapping[str, object], *, what: str, urgent: bool = False
    ) -> Any:  # noqa: ANN401
        """Return the `data` of a GraphQL answer. Raises as `call` does, and `PermanentError` for errors in it."""
        body = {"query": query, "variables": dict(variables)}
        reply = await self.call("post", f"{self.url}/api/graphql", body=body, what=what, urgent=urgent)
        document = reply.data if isinstance(reply.data, dict) else {}
        if document.get("errors") or "data" not in document:
            reason = errors.reason_in(json.dumps(document).encode())
            raise PermanentError(f"GitLab's GraphQL refuses {what}: {reason or 'it gives no reason'}")
        return document["data"]

    async def read_part(self, path: str, offset: int, limit: int, *, what: str) -> Part:
        """Return up to `limit` bytes of a text from `offset` on. The bytes before are read and discarded."""
        part: list[Part] = []
        await self._ask(lambda: self._send_part(path, offset, limit, what, part), what, urgent=True)
        return part[0]

    async def aclose(self) -> None:
        """Close the client without waiting for answers."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._gitlab is not None:
            self._gitlab.session.close()

    # In the loop.

    async def _ask(self, send: Callable[[], _Answer], what: str, urgent: bool) -> _Answer:
        await self._rate_limiter.check(urgent=urgent, what=what)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(TOTAL_S):
                answer = await loop.run_in_executor(self._pool, send)
        except TimeoutError:
            raise Unreachable(
                f"{self.url} did not answer {what} in time", "wsdash retries automatically."
            ) from None
        except RuntimeError as error:
            raise Unreachable(f"{what} was not requested: wsdash is ending", "") from error
        state = await self._rate_limiter.record_response(answer.status, answer.headers)
        if 200 <= answer.status < 300:
            return answer
        problem = errors.of_answer(answer.status, answer.headers, answer.body, what)
        if isinstance(problem, errors.RateLimited):
            if answer.status != 429:
                state = await self._rate_limiter.record_refusal()
            problem = self._rate_limiter.limited(what, state.not_before)
        raise problem

    def _reply(self, data: Any, answer: _Answer) -> Reply:  # noqa: ANN401
        now = self._clock()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        skew = 0.0
        try:
            skew = now - parsedate_to_datetime(headers["date"]).timestamp()
        except (KeyError, ValueError, TypeError):
            skew = 0.0
        return Reply(data, headers, now, skew if abs(skew) >= LEAST_SKEW_S else 0.0)

    # In a thread of the pool.

    def _send(
        self, method: str, path: str, query: Query | None, body: Mapping[str, object] | None, what: str
    ) -> _Answer:
        answer = self._request(method, path, query, body, what)
        if isinstance(answer, _Answer):
            return answer
        with answer:
            read = b"" if method == "head" else _read_whole(answer, what)
        return _Answer(answer.status_code, dict(answer.headers), read)

    def _send_part(self, path: str, offset: int, limit: int, what: str, part: list[Part]) -> _Answer:
        answer = self._request("get", path, None, None, what)
        if isinstance(answer, _Answer):
            return answer
        with answer:
            part.append(_read_part(answer, offset, limit, what))
        return _Answer(answer.status_code, dict(answer.headers), b"")

    def _request(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: Mapping[str, object] | None,
        what: str,
    ) -> Response | _Answer:
        """Send a request and return the answer unread, or read if it is not a success."""
        import requests
        from gitlab.exceptions import GitlabError, RedirectError

        client = self._client()
        for is_last in (method != "get", True):
            self._seen.answer = None
            try:
                return client.http_request(
                    method,
                    path,
                    query_data=dict(query or {}),
                    post_data=None if body is None else dict(body),
                    streamed=True,
                    timeout=(CONNECT_S, READ_S),  # type: ignore[arg-type]  # requests takes both
                    obey_rate_limit=False,
                    retry_transient_errors=False,
                )
            except RecursionError:  # python-gitlab parses the answer's error message
                raise errors.no_json(b"", what) from None
            except RedirectError:
                return _Answer(301, {}, b"")
            except GitlabError:
                answer: _Answer = self._seen.answer
                return answer
            except requests.exceptions.RequestException as error:
                if not is_last and "Connection aborted" in str(error):
                    continue
                raise errors.of_exception(error, self.url, what) from None
        raise AssertionError("the last try returns or raises")

    def _client(self) -> Gitlab:
        """Return python-gitlab's client; a new one if the token has changed."""
        from gitlab import Gitlab

        with self._making:
            token = self.token()
            if self._gitlab is None or token != self._token_used:
                # A Bearer header, unlike GitLab's own, is dropped when an answer redirects to another host.
                self._gitlab = Gitlab(
                    self.url,
                    oauth_token=token,
                    user_agent=f"wsdash/{__version__}",
                    session=self._session(),
                    keep_base_url=True,
                )
                self._token_used = token
            return self._gitlab

    def _session(self) -> Session:
        import requests

        from wsdash.backend.providers.gitlab.api.connections import Adapter

        session = requests.Session()
        # The environment is read once: requests would read all of it again for each request, and would
        # look into the user's netrc.
        session.proxies = dict(requests.utils.get_environ_proxies(self.url))
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        session.trust_env = False
        session.hooks["response"].append(self._notice)
        session.mount("http://", Adapter())
        session.mount("https://", Adapter(None if self._ca_file is None else _trusting(self._ca_file)))
        return session

    def _notice(self, response: Response, **_: object) -> Response:
        """Keep the headers of an unsuccessful answer: python-gitlab's errors do not have them."""
        if response.status_code >= 400:
            body = response.raw.read(MOST_BYTES, decode_content=True) or b""
            response._content = body
            response._content_consumed = True  # type: ignore[attr-defined]
            self._seen.answer = _Answer(response.status_code, dict(response.headers), body)
        return response


def _read_whole(response: Response, what: str) -> bytes:
    return _read_part(response, 0, MOST_BYTES, what, must_end=True).data


def _read_part(response: Response, offset: int, limit: int, what: str, *, must_end: bool = False) -> Part:
    """Read a part. Read on to the end even when the part is full, unless the answer says how long it is."""
    import requests

    known = response.headers.get("Content-Length")
    is_plain = "Content-Encoding" not in response.headers
    size = int(known) if known and known.isdecimal() and is_plain else None
    deadline = time.monotonic() + TOTAL_S
    kept, position = bytearray(), 0
    try:
        for chunk in response.iter_content(65536):
            start = max(0, offset - position)
            kept += chunk[start : max(start, offset + limit - position)]
            position += len(chunk)
            if time.monotonic() > deadline:
                raise Unreachable(f"the answer to {what} does not end", "wsdash retries automatically.")
            if position >= offset + limit:
                if must_end and (size is None or size > position):
                    raise Unreachable(f"the answer to {what} is larger than any valid one", "")
                if size is not None:
                    return Part(bytes(kept), offset, size)
    except requests.exceptions.RequestException as error:
        raise Unreachable(
            f"GitLab's answer to {what} was cut off", "wsdash retries automatically."
        ) from error
    if size is not None and position < size:
        raise Unreachable(f"GitLab's answer to {what} was cut off", "wsdash retries automatically.")
    return Part(bytes(kept), offset, position)


def _trusting(ca_file: str) -> ssl.SSLContext:
    """Return a context that trusts the authorities of a file in addition to the usual ones. Raises
    `PreconditionFailed`.
    """
    import ssl

    try:
        context = ssl.create_default_context()
        context.load_verify_locations(Path(ca_file).expanduser())
    except (OSError, ssl.SSLError) as error:
        reason = (
            error.strerror if isinstance(error, OSError) and error.strerror else "it holds no certificate"
        )
        raise PreconditionFailed(
            f"the file of certificate authorities {ca_file} cannot be used: {one_line(str(reason))}",
            "Correct ca_file of the context in config.toml.",
        ) from error
    return context


def host_of(url: str) -> str:
    """Return the host of an address, with its port if it has one; Git's own addresses are compared this way."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()
