"""The server: its web application in a thread of its own, and what tests ask of it."""

from __future__ import annotations

import asyncio
import base64
import secrets
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any, TypeVar, cast

from aiohttp import web

from tests.gitlab_server import broken, graphql
from tests.gitlab_server.answers import Refusal
from tests.gitlab_server.clock import Clock
from tests.gitlab_server.faults import Faults
from tests.gitlab_server.git_http import serve
from tests.gitlab_server.id_tokens import Issuer
from tests.gitlab_server.repositories import Repository
from tests.gitlab_server.rest import Rest
from tests.gitlab_server.runner_api import RunnerApi
from tests.gitlab_server.state import DEVELOPER, MAINTAINER, OWNER, Project, Runner, State, Token, User

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was asked: `path` is without the query."""

    method: str
    path: str
    query: str
    by_job: bool


class GitLabServer:
    """A GitLab at `url` while the block lasts. `sub_path` is one such as `/gitlab`; `tls` makes it https."""

    def __init__(
        self, folder: Path, *, sub_path: str = "", tls: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        self.clock = Clock()
        self.state = State(self.clock)
        self.faults = Faults()
        self.requests: list[Request] = []
        self.url = ""
        self._folder = folder
        self._sub_path = sub_path
        self._tls = tls
        self._port = port
        self._issuer = Issuer()
        self._rest = Rest(self.state, lambda: self.state.external_url or self.url)
        self._runner_api = RunnerApi(self.state, self._issuer, lambda: self.url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gitlab", daemon=True)
        self._stopping = asyncio.Event()

    def __enter__(self) -> GitLabServer:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # What tests set up. Each is done in the server's own thread.

    def add_user(self, username: str) -> User:
        user = User(self.state.new_id(), username)
        return self.do(lambda: self.state.users.setdefault(user.id, user))

    def add_token(self, user: User, scopes: Iterable[str] = ("api",), expires_at: float | None = None) -> str:
        token = Token(f"glpat-{secrets.token_hex(10)}", user, list(scopes), expires_at)
        self.do(lambda: self.state.tokens.setdefault(token.value, token))
        return token.value

    def add_project(
        self,
        path: str,
        files: Mapping[str, str] | None = None,
        *,
        owners: Iterable[User] = (),
        maintainers: Iterable[User] = (),
        developers: Iterable[User] = (),
        **more: Any,  # noqa: ANN401
    ) -> Project:
        """A project with these files in a first commit on `main`. `more` are fields of `Project`."""

        def add() -> Project:
            number = self.state.new_id()
            repository = Repository(self._folder / "repositories" / f"{number}.git")
            roles = {
                u.id: role
                for us, role in ((developers, DEVELOPER), (maintainers, MAINTAINER), (owners, OWNER))
                for u in us
            }
            actions = [
                {"action": "create", "file_path": name, "content": text}
                for name, text in (files or {"README.md": f"# {path}\n"}).items()
            ]
            repository.commit("main", "First commit", actions, author="somebody")
            project = Project(number, path, repository, roles, **more)
            self.state.projects[number] = project
            return project

        return self.do(add)

    def add_runner(self, description: str = "runner", tags: Iterable[str] = (), **more: Any) -> Runner:  # noqa: ANN401
        seen = {"contacted_at": self.clock.now(), **more}
        return self.do(lambda: self._runner_api.add_runner(description, list(tags), **seen))

    def advance(self, seconds: float = 0.0) -> None:
        """Let time pass, and everything happen that happens by itself."""
        self.clock.advance(seconds)
        self.do(self.state.advance)

    def asked(self, *, by_jobs: bool = False) -> list[str]:
        """The requests since `forget`, of users or of jobs, as `POST /projects/7/pipeline`; runners are left out."""
        return [
            f"{request.method} {request.path.removeprefix('/api/v4')}"
            for request in list(self.requests)
            if request.by_job is by_jobs and request.path.startswith("/api/")
        ]

    def forget(self) -> None:
        """Forget which requests were asked."""
        self.requests.clear()

    def do(self, act: Callable[[], T]) -> T:
        """Run it in the server's thread, between two requests."""

        async def acting() -> T:
            return act()

        return cast(T, self._run(acting()))

    # Serving.

    def _run(self, coroutine: Any) -> Any:  # noqa: ANN401
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    async def _start(self) -> None:
        api = web.Application(middlewares=[self._noticing], client_max_size=64 * 1024 * 1024)
        api.add_routes(self._rest.routes())
        api.add_routes(self._runner_api.routes())
        api.add_routes(
            [
                web.post("/api/graphql", self._graphql),
                web.get("/oauth/discovery/keys", self._keys),
                web.route("*", "/{project:.+}.git/{rest:.+}", self._git),
            ]
        )
        app = api
        if self._sub_path:
            app = web.Application(client_max_size=64 * 1024 * 1024)
            app.add_subapp(self._sub_path, api)
        self._web = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._web.setup()
        site = web.TCPSite(self._web, "127.0.0.1", self._port, ssl_context=self._tls)
        await site.start()
        scheme, host = ("https", "localhost") if self._tls else ("http", "127.0.0.1")
        self.url = f"{scheme}://{host}:{self._web.addresses[0][1]}{self._sub_path}"

    async def _stop(self) -> None:
        self._stopping.set()
        await self._web.cleanup()

    @web.middleware
    async def _noticing(self, request: web.Request, handler: Any) -> web.StreamResponse:  # noqa: ANN401
        path = request.path.removeprefix(self._sub_path)
        is_runner = "/jobs/request" in path or request.method == "PATCH" or path.startswith("/api/v4/jobs/")
        if not is_runner:
            self.requests.append(
                Request(request.method, path, request.query_string, "JOB-TOKEN" in request.headers)
            )
        switched = self.faults.take(request.method, path)
        if switched is None:
            self.state.advance()
            answer: web.StreamResponse = await handler(request)
            answer.headers["Date"] = formatdate(self.clock.now(), usegmt=True)
            return answer
        return await broken.answer(switched, request, handler, self.clock.now(), self._stopping)

    async def _graphql(self, request: web.Request) -> web.Response:
        try:
            user = self._rest._token(request).user
        except Refusal:
            return web.json_response({"errors": [{"message": "Invalid token"}]}, status=401)
        body = await request.json()
        return web.json_response(
            graphql.execute(self.state, user, body["query"], body.get("variables") or {})
        )

    async def _keys(self, _: web.Request) -> web.Response:
        return web.json_response(self._issuer.keys())

    async def _git(self, request: web.Request) -> web.StreamResponse:
        project = self.state.project(request.match_info["project"])
        username, password = _basic(request.headers.get("Authorization", ""))
        role = 0
        if project is not None:
            role = self._git_role(project, password)
        service = request.query.get("service") or request.match_info["rest"]
        least = DEVELOPER if "receive-pack" in service else 1
        if not password:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="GitLab"'})
        if project is None or role < least:
            return web.Response(
                status=404 if role == 0 else 403, text="The project you were looking for could not be found"
            )
        return await serve(request, project.repository.folder, f"/{request.match_info['rest']}", username)

    def _git_role(self, project: Project, password: str) -> int:
        """A job's token may read its own project, and those that have its project on their allowlist."""
        token = self.state.tokens.get(password)
        if token is not None and not token.revoked:
            return self.state.role(token.user, project)
        job = next((job for job in self.state.jobs.values() if job.token == password), None)
        if job is None or not job.is_live:
            return 0
        own = job.pipeline.project
        reaches = own is project or own.id in project.allowlist
        role = self.state.role(job.pipeline.user, project)
        if own is project and project.jobs_may_push:
            return role
        return min(role, 20) if reaches else 0


def _basic(header: str) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    except ValueError:
        return "", ""
    return user, password
