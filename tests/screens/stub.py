"""A service that answers from memory, and workspaces in every phase, at a frozen time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from wsdash.app import WsdashApp
from wsdash.backend.errors import UserError
from wsdash.backend.job.ports import Ports
from wsdash.backend.operations.connect_gitlab import ContextPreview, ContextRequest
from wsdash.backend.providers.types import Capabilities, Finding, Limitation, LogChunk, ShellCommand
from wsdash.backend.rules.recovery_point import RecoveryPoint
from wsdash.backend.service import (
    CreateRequest,
    Preview,
    Reconciling,
    Service,
    UnsavedWork,
    Update,
)
from wsdash.backend.store.reader import WorkspaceDetail, WorkspaceRow
from wsdash.config.settings import Config, Context, GitLabSettings
from wsdash.devfile import Diagnostic
from wsdash.model import (
    Attempt,
    Cause,
    Desired,
    End,
    Event,
    JobObservation,
    JobState,
    Phase,
    Policy,
    Status,
    StepResult,
    Workspace,
)
from wsdash.paths import Paths
from wsdash.workload import Source, Workload

NOW = 1_750_000_000.0
JOB = """image: docker.io/library/python:3.12
source: https://git.example/shop/api.git at main
postStart:
  install: pip install -e .
"""


def workspace(name: str, **changes: object) -> Workspace:
    """A workspace that is wanted running, created three hours ago."""
    made = Workspace(
        id=f"id-{name}",
        name=name,
        context="local",
        source_url=f"https://git.example/shop/{name}.git",
        ref="main",
        devfile_path="devfile.yaml",
        desired=Desired.RUNNING,
        generation=1,
        policy=Policy(),
        created_at=NOW - 3 * 3600,
        desired_changed_at=NOW - 3 * 3600,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def attempt(name: str, number: int = 1, **changes: object) -> Attempt:
    """An attempt that was launched two hours ago and runs."""
    started = NOW - 2 * 3600
    made = Attempt(
        id=f"{name}-{number}",
        workspace_id=f"id-{name}",
        number=number,
        generation=1,
        intended_at=started,
        launched_at=started,
        job_id=f"job-{number}",
        last_observation=JobObservation(
            f"{name}-{number}", JobState.RUNNING, f"job-{number}", started_at=started, ready_at=started + 9
        ),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def event(name: str, text: str, kind: str = "launched", at: float = NOW - 7200, **evidence: object) -> Event:
    return Event(1, at, f"id-{name}", 1, "reconciler", kind, text, dict(evidence))


def row(
    name: str,
    phase: Phase = Phase.RUNNING,
    reason: str = "running, as desired",
    healthy: bool | None = True,
    *,
    last: Attempt | None = None,
    latest_event: str = "ready: postStart is done",
    **changes: object,
) -> WorkspaceRow:
    """One line of the list."""
    return WorkspaceRow(
        workspace(name, **changes),
        Status(phase, reason, healthy),
        last or attempt(name),
        event(name, latest_event),
        saved=RecoveryPoint("folder"),
    )


FAILED_STEP = StepResult("postStart", "install", NOW - 7190, NOW - 7181, 1, 120, 300)


def every_phase() -> list[WorkspaceRow]:
    """One workspace in each phase that a user meets."""
    broken = attempt("billing")
    assert broken.last_observation is not None
    broken = replace(broken, last_observation=replace(broken.last_observation, steps=(FAILED_STEP,)))
    ended = replace(attempt("legacy", 11), end=End(NOW - 1800, Cause.USER_CODE, 127, "sh: yarn: not found"))
    return [
        row("api-gateway"),
        row(
            "billing",
            reason="postStart install failed with exit 1; the workspace still runs",
            last=broken,
            latest_event="postStart install failed with exit 1",
        ),
        row(
            "catalog", Phase.STARTING, "postStart build", True, latest_event="launched attempt #1 as job 4711"
        ),
        row(
            "docs-site",
            Phase.STOPPED,
            "#1 ended: wanted stopped",
            None,
            desired=Desired.STOPPED,
            latest_event="stopped by the user",
        ),
        row(
            "frontend",
            Phase.UNHEALTHY,
            "no heartbeat for 47 s",
            False,
            ref="feature/checkout-redesign",
            latest_event="heartbeats are missing",
        ),
        row(
            "legacy",
            Phase.FAILED,
            "11 crashes in one episode; the last: user-code, exit 127: sh: yarn: not found",
            False,
            last=ended,
            latest_event="gave up after 11 crashes",
        ),
        row(
            "ml-pipeline",
            Phase.BACKING_OFF,
            "backing off after crash 3: runner-lost",
            False,
            latest_event="attempt #3 was lost",
        ),
        row(
            "mobile",
            Phase.UNKNOWN,
            "the provider does not answer: connection refused; wsdash retries",
            None,
            latest_event="not reachable",
        ),
        row(
            "playground",
            Phase.PENDING,
            "waiting for a runner",
            None,
            source_url=None,
            latest_event="created",
            created_at=NOW - 20,
        ),
        row(
            "search",
            Phase.STOPPING,
            "its job is asked to end",
            None,
            desired=Desired.STOPPED,
            latest_event="stop was asked for",
        ),
    ]


CHANGES = (
    "--- the present job",
    "+++ the job of the devfile now",
    "@@ -12,7 +12,7 @@",
    " environment() {",
    "-  export GREETING=hello",
    "+  export GREETING='good day'",
    " }",
    "-image docker.io/library/python:3.12",
    "+image docker.io/library/python:3.13",
)


class StubService:
    """Duck-typed like `Service`; remembers what it was asked to do in `asked`."""

    def __init__(self, rows: list[WorkspaceRow]) -> None:
        # One object answers for all groups of operations.
        self.queries = self.lifecycle = self.creation = self.updates = self
        self.access = self.work = self.contexts = self.daemon = self
        self.rows = rows
        self.notices: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.refusals: dict[str, Exception] = {}
        self.shells_now: dict[str, int] = {}
        self.asked_who: list[str] = []
        self.upgraded = asyncio.Event()
        self.looking = asyncio.Event()
        self.looking.set()
        self.logs: dict[int, bytes] = {}
        self.ports_of: dict[str, Ports] = {}
        self.log_ended = False
        self.unsaved: UnsavedWork | None = UnsavedWork((), ())
        self.reconciler_status = Reconciling("this", 4242)
        self.isolation = Capabilities("podman", True)
        self.configured = Config()
        self.checked: list[ContextRequest] = []
        self.findings: tuple[Finding, ...] = (Finding("ok", "you are ada, with a token for the API"),)
        self.previews: list[CreateRequest] = []
        self.limitations: tuple[Limitation, ...] = ()
        self.secrets: dict[str, str] = {}
        self.diagnostics: tuple[Diagnostic, ...] = ()
        self.changes_of_update: tuple[str, ...] = CHANGES
        self.attempts: dict[str, tuple[Attempt, ...]] = {}
        self.events_of: dict[str, tuple[Event, ...]] = {}
        self.workload = '{"image": "docker.io/library/python:3.12", "env": [{"name": "A", "value": "1"}]}'
        self.released = asyncio.Event()
        self.released.set()
        """Cleared by a test that wants unsaved work and previews to take their time."""
        self.handed_over = False
        self._changed = asyncio.Event()

    def change(self, rows: list[WorkspaceRow]) -> None:
        """Change the store as another process would."""
        self.rows = rows
        self._changed.set()

    async def changes(self) -> AsyncIterator[None]:
        while True:
            await self._changed.wait()
            self._changed.clear()
            yield

    async def workspaces(self, *, deleted: bool = False) -> list[WorkspaceRow]:
        return list(self.rows)

    def name_of(self, workspace_id: str) -> str:
        """All that is asked names a workspace by its id."""
        assert workspace_id.startswith("id-")
        return workspace_id.removeprefix("id-")

    async def detail(self, workspace_id: str) -> WorkspaceDetail:
        found = next(row for row in self.rows if row.workspace.id == workspace_id)
        name = self.name_of(workspace_id)
        attempts = self.attempts.get(name, (found.attempt,) if found.attempt else ())
        events = self.events_of.get(name, (found.event,) if found.event else ())
        return WorkspaceDetail(found, attempts, events, self.workload)

    async def ports(self, workspace_id: str) -> Ports:
        return self.ports_of.get(self.name_of(workspace_id), Ports((), is_known=False))

    async def read_log(
        self, workspace_id: str, *, attempt: int | None = None, offset: int = 0, limit: int = 65536
    ) -> LogChunk:
        data = self.logs.get(attempt or max(self.logs, default=1), b"")
        return LogChunk(data[offset : offset + limit], offset, len(data), self.log_ended)

    async def capabilities(self, context: str = "local") -> Capabilities:
        return self.isolation

    async def config(self) -> Config:
        return self.configured

    async def check_context(self, request: ContextRequest) -> ContextPreview:
        self.checked.append(request)
        await self.released.wait()
        if "check_context" in self.refusals:
            raise self.refusals["check_context"]
        settings = GitLabSettings(request.url, request.project, request.placement or "source", request.tags)
        source = "" if request.token else "the variable GITLAB_TOKEN"
        return ContextPreview(request.name, settings, request.token or "found", source, self.findings)

    async def add_context(self, preview: ContextPreview) -> str | None:
        self.asked.append(("add_context", preview.name))
        added = Context(preview.name, "gitlab", preview.settings)
        self.configured = replace(self.configured, contexts={**self.configured.contexts, preview.name: added})
        return None if preview.token_source else "the keyring"

    async def use_context(self, name: str) -> None:
        self.asked.append(("use_context", name))
        self.configured = replace(self.configured, default_context=name)

    async def remove_context(self, name: str) -> str:
        if "remove_context" in self.refusals:
            raise self.refusals["remove_context"]
        self.asked.append(("remove_context", name))
        left = {other: found for other, found in self.configured.contexts.items() if other != name}
        self.configured = replace(self.configured, contexts=left, default_context="local")
        return "local"

    async def reconciling(self) -> Reconciling:
        return self.reconciler_status

    async def unsaved_work(self, workspace_id: str) -> UnsavedWork | None:
        self.name_of(workspace_id)
        await self.released.wait()
        return self.unsaved

    async def look_again(self, workspace_id: str) -> None:
        self.name_of(workspace_id)

    async def preview(self, request: CreateRequest, progress: Callable[[str], None] = print) -> Preview:
        self.previews.append(request)
        progress("reading the repository")
        await self.released.wait()
        if "preview" in self.refusals:
            raise self.refusals["preview"]
        return Preview(
            name=request.name or "api",
            context=request.context or self.configured.default_context,
            source_url=request.source,
            ref=request.ref,
            devfile_path="devfile.yaml",
            workload=Workload(source=Source(request.source) if request.source else None),
            diagnostics=self.diagnostics,
            job=JOB,
            isolation="podman",
            limitations=self.limitations,
        )

    async def preview_update(
        self, workspace_id: str, choices: CreateRequest, progress: Callable[[str], None] = print
    ) -> Update:
        preview = await self.preview(replace(choices, name=self.name_of(workspace_id)), progress)
        return Update(workspace_id, preview, self.changes_of_update)

    async def update(self, update: Update, *, unsaved: bool = False) -> Workspace:
        return await self._wish("update, unsaved" if unsaved else "update", update.workspace_id)

    def check_secret(self, context: str, name: str, value: str, field: str) -> None:
        if "secret" in self.refusals:
            raise self.refusals["secret"]

    async def create(self, preview: Preview, values: dict[str, str] | None = None) -> Workspace:
        self.secrets = dict(values or {})
        made = workspace(preview.name, created_at=NOW)
        self.asked.append(("create", preview.name))
        self.change(
            [*self.rows, WorkspaceRow(made, Status(Phase.STARTING, "fetch source", True), None, None)]
        )
        return made

    async def _wish(self, verb: str, workspace_id: str) -> Workspace:
        name = self.name_of(workspace_id)
        if verb in self.refusals:
            raise self.refusals[verb]
        self.asked.append((verb, name))
        return workspace(name)

    async def start(self, workspace_id: str) -> Workspace:
        return await self._wish("start", workspace_id)

    async def stop(self, workspace_id: str, *, unsaved: bool = False) -> Workspace:
        return await self._wish("stop, unsaved" if unsaved else "stop", workspace_id)

    async def restart(self, workspace_id: str, *, unsaved: bool = False) -> Workspace:
        return await self._wish("restart, unsaved" if unsaved else "restart", workspace_id)

    async def delete(self, workspace_id: str) -> Workspace:
        return await self._wish("delete", workspace_id)

    async def extend(self, workspace_id: str, hours: float) -> float:
        await self._wish("extend", workspace_id)
        return NOW + hours * 3600

    async def end_now(self, workspace_id: str) -> bool:
        await self._wish("end_now", workspace_id)
        return True

    async def shell(
        self, workspace_id: str, argv: tuple[str, ...] = (), *, attempt: int | None = None
    ) -> ShellCommand:
        self.name_of(workspace_id)
        if "shell" in self.refusals:
            raise self.refusals["shell"]
        return ShellCommand(("sh", "-c", "exit 0"), {"PATH": "/usr/bin:/bin"})

    async def shells(self, workspace_id: str) -> int | None:
        self.asked_who.append(self.name_of(workspace_id))
        await self.looking.wait()
        return self.shells_now.get(self.name_of(workspace_id))

    async def reconcile(self, owner: str, *, idle_exit_s: float | None = None) -> None:
        self.asked.append(("reconcile", owner))
        await asyncio.Event().wait()

    async def until_upgraded(self) -> None:
        await self.upgraded.wait()

    async def hand_over(self) -> bool:
        self.handed_over = True
        return True


class StubbedApp(WsdashApp):
    """Ends its session with the screen, as `wsdash.app.run` does after it."""

    async def on_unmount(self) -> None:
        await self.session.close()


def dashboard(
    stub: StubService,
    folder: Path,
    *,
    rows: list[WorkspaceRow] | None = None,
    read_rows: Callable[[float, int | None], list[WorkspaceRow]] | None = None,
    ascii: bool = False,  # noqa: A002
    no_color: bool = False,
    theme: str | None = None,
) -> WsdashApp:
    """The app over a stub, at the frozen time. `rows` are those of the first paint."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Service]:
        yield cast(Service, stub)

    return StubbedApp(
        Paths(folder / "state", folder / "config", folder / "cache"),
        clock=lambda: NOW,
        open_service=opened,
        read_rows=read_rows or (lambda _now, first: list(stub.rows if rows is None else rows)[:first]),
        ascii=ascii,
        no_color=no_color,
        theme=theme,
    )


__all__ = ["NOW", "StubService", "UserError", "dashboard", "every_phase", "row"]
