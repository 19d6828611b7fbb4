"""The costs of workspaces on a GitLab: requests, CPU time of a poll, and the time to a replacement."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.figures import Figure
from tests.backend.providers.contract import attempt, workspace
from tests.gitlab_server import GitLabServer
from tests.waiting import until
from wsdash.app import WsdashApp
from wsdash.backend.operations import context_file
from wsdash.backend.operations.create import Preview
from wsdash.backend.providers.gitlab.api.models import Branch
from wsdash.backend.providers.gitlab.factory import gitlab_api
from wsdash.backend.providers.gitlab.provider import GitLabProvider
from wsdash.backend.reconcile.reconciler import Reconciler
from wsdash.backend.store import database
from wsdash.backend.store.fenced_store import FencedStore
from wsdash.backend.store.store import Store
from wsdash.backend.system.processes import ProcessIdentity
from wsdash.backend.system.runtime import Runtime
from wsdash.config.settings import GITLAB, GitLabSettings, policy
from wsdash.model import Desired, Workspace
from wsdash.paths import Paths
from wsdash.screens.log import LogScreen
from wsdash.screens.widgets.log_view import TraceView
from wsdash.workload import Workload

WORKLOAD = Workload(image="alpine")
RESTARTS = 9


@dataclass(frozen=True)
class Sizes:
    ends: int
    looks: tuple[int, ...]


FULL = Sizes(ends=5, looks=(1, 100, 1000))
SMOKE = Sizes(ends=1, looks=(1, 20))


class Ahead:
    """This machine's clock, and what was added to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def measure(sizes: Sizes) -> list[Figure]:
    """Each measure has a folder and an instance of its own."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="wsdash-bench-") as name:
        folder = Path(name)
        figures += asyncio.run(_requests(folder / "requests"))
        for count in sizes.looks:
            figures += asyncio.run(_look(folder / str(count), count))
        figures.append(asyncio.run(_from_end(folder / "end", sizes.ends)))
        figures.append(asyncio.run(_from_silence(folder / "silence")))
        figures.append(asyncio.run(_log_shown(folder / "log", sizes.ends)))
    return figures


async def _requests(folder: Path) -> list[Figure]:
    with GitLabServer(folder / "gitlab") as server:
        provider, _ = _provider(server, folder)
        await provider.observe()
        server.forget()
        await provider.launch(workspace(), replace(attempt(), intended_at=time.time()), WORKLOAD)
        create = len(server.asked())
        await provider.force_cancel(attempt())
        server.forget()
        await provider.launch(workspace(), replace(attempt(2), intended_at=time.time()), WORKLOAD)
        restart = len(server.asked())
        windows = [await _window(provider, number) for number in range(3, 3 + RESTARTS)]
        await provider.aclose()
    window, cancelled = (statistics.median(times) * 1000 for times in zip(*windows, strict=True))
    return [
        Figure("requests to create a workspace", create, "requests", 2),
        Figure("requests to restart one where nothing changed", restart, "requests", 2),
        Figure("from the look at the branch's head to the reply with its pipeline", window, "ms", 250),
        Figure("from there to the end of a pipeline that runs another commit", cancelled, "ms", 250),
    ]


async def _window(provider: GitLabProvider, number: int) -> tuple[float, float]:
    """The window in which a foreign push is not seen before a restart, and the longest run of its job, in seconds."""
    api, looked_at = provider._api, time.perf_counter()
    branch = api.branch

    async def look(project: int, name: str) -> Branch:
        nonlocal looked_at
        looked_at = time.perf_counter()
        return await branch(project, name)

    api.branch = look  # type: ignore[method-assign]
    job = await provider.launch(workspace(), replace(attempt(number), intended_at=time.time()), WORKLOAD)
    api.branch = branch  # type: ignore[method-assign]
    made_at = time.perf_counter()
    await api.cancel_pipeline((await provider._project.info()).id, int(job.job_id))
    return made_at - looked_at, time.perf_counter() - made_at


async def _look(folder: Path, count: int) -> list[Figure]:
    """A calm look at many workspaces: its requests, and the CPU time of the whole look with the state store."""
    with _instance(folder / "gitlab", count) as about:
        paths = _paths(folder)
        api = gitlab_api(about["url"], lambda: about["token"], paths)
        provider = GitLabProvider(
            GitLabSettings(about["url"], "group/app"),
            api,
            host="here",
            owner="0a0a0a0a",
            clock=time.time,
            files_folder=folder,
            cache_key_file=folder / "cache.key",
        )
        asked = 0
        send = api.client._request

        def counting(*args):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN202
            nonlocal asked
            asked += 1
            return send(*args)

        api.client._request = counting  # type: ignore[method-assign]
        async with Store.open(paths) as store:
            now = time.time()
            for number in range(count):
                await store.create_workspace(_workspace(f"w{number}", now), WORKLOAD, "created")
            reconciler = await _reconciler(store, provider, time.time)
            for _ in range(count // 10 + 3):
                await reconciler.poll("work")
            asked, before = 0, time.process_time()
            await reconciler.poll("work")
            cpu = time.process_time() - before
            requests = asked
            before = time.process_time()
            await provider.observe()
            cpu_of_provider = time.process_time() - before
        await provider.aclose()
    pages = -(-count // 100)
    figures = [Figure(f"requests of a calm look at {count} workspaces", requests, "requests", pages)]
    if count == 1000:
        figures += [
            Figure("CPU time of a look at 1,000 workspaces, with the state store", cpu * 1000, "ms", 100),
            Figure("CPU time of the provider's part of it", cpu_of_provider * 1000, "ms", 100),
        ]
    return figures


async def _from_end(folder: Path, ends: int) -> Figure:
    """From a job's end, as GitLab has it, to the request for its replacement, by the real loop."""
    with GitLabServer(folder / "gitlab") as server:
        provider, paths = _provider(server, folder)
        runner = server.add_runner()
        waits: list[float] = []
        async with Store.open(paths) as store:
            await store.create_workspace(_workspace("w1", time.time()), WORKLOAD, "created")
            reconciler = await _reconciler(store, provider, time.time, watching=False)
            running = asyncio.create_task(reconciler.run())
            for number in range(1, ends + 1):
                job = await _newest_job(server, number)
                server.do(lambda job=job: server.state.start(job, runner, cancels_gracefully=True))  # type: ignore[misc]
                await asyncio.sleep(1.0 + 0.37 * number)
                server.forget()
                ended_at = time.perf_counter()
                server.do(lambda job=job: server.state.finish(job, "canceled", None))  # type: ignore[misc]
                while not any(asked.endswith("/pipeline") for asked in server.asked()):
                    await asyncio.sleep(0.01)
                waits.append(time.perf_counter() - ended_at)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await provider.aclose()
    longest_poll = provider.poll_intervals.busy_s * 1.1
    name = f"from a job's end to the request for the next, worst of {ends}"
    return Figure(name, max(waits), "s", longest_poll + 0.2)


async def _from_silence(folder: Path) -> Figure:
    """From the last heartbeat to the request for a replacement, at default settings, on a clock that is moved."""
    clock = Ahead()
    with GitLabServer(folder / "gitlab") as server:
        provider, paths = _provider(server, folder, clock)
        runner = server.add_runner()
        async with Store.open(paths) as store:
            await store.create_workspace(_workspace("w1", clock()), WORKLOAD, "created")
            reconciler = await _reconciler(store, provider, clock)
            await reconciler.poll("work")
            await reconciler.step("w1")
            job = await _newest_job(server, 1)
            server.do(lambda: server.state.start(job, runner, cancels_gracefully=True))
            last_beat_at = clock()
            for _ in range(20):
                last_beat_at = clock()
                beat = f" {int(last_beat_at)} ready {int(last_beat_at)} "
                parts = (job.pipeline.name or "").split(" ")
                job.pipeline.name = " ".join(parts[:2]) + beat + f"started={int(last_beat_at)}"
                await _tick(server, reconciler, clock, provider.poll_intervals.steady_s)
            while len(server.state.pipelines) < 2:
                silent = clock() - last_beat_at
                is_calm = silent < 60.0
                every = provider.poll_intervals
                await _tick(server, reconciler, clock, every.steady_s if is_calm else every.busy_s)
            waited = clock() - last_beat_at
        await provider.aclose()
    return Figure("from the last heartbeat of a silent job to the request for the next", waited, "s", 100)


async def _log_shown(folder: Path, ends: int) -> Figure:
    """From a line in GitLab's log to its place on the dashboard's screen, which is open the whole time."""
    with GitLabServer(folder / "gitlab") as server:
        user = server.add_user("ada")
        server.add_project("group/app", owners=[user])
        paths = _paths(folder)
        settings = GitLabSettings(server.url, "group/app")
        context_file.add("work", settings, server.add_token(user), paths)
        runner = server.add_runner()
        app = WsdashApp(paths)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(lambda: app.connected, 30.0, "the open store")
            preview = Preview("w1", "work", None, None, None, WORKLOAD, (), "", "a CI job")
            await app.service.creation.create(preview)
            job = await _newest_job(server, 1)
            server.do(lambda: server.state.start(job, runner, cancels_gracefully=True))
            await until(lambda: app.rows and app.rows[0].attempt is not None, 30.0, "the row")
            await pilot.press("l")
            await until(lambda: isinstance(app.screen, LogScreen), 30.0, "the log")
            waits: list[float] = []
            for number in range(ends):
                await asyncio.sleep(2.0 + 0.61 * number)
                lines = app.screen.query_one(TraceView).index.count

                def more(lines: int = lines) -> bool:
                    return app.screen.query_one(TraceView).index.count > lines

                began = time.perf_counter()
                job.trace += f"line {number}\n".encode()
                await until(more, 30.0, "the line")
                waits.append(time.perf_counter() - began)
            await app.session.close()
    return Figure(f"from a line of GitLab's log to the dashboard, worst of {ends}", max(waits), "s", 3.0)


async def _tick(server: GitLabServer, reconciler: Reconciler, clock: Ahead, seconds: float) -> None:
    clock.ahead += seconds
    server.advance(seconds)
    await reconciler.poll("work")
    for _ in range(3):
        await reconciler.step("w1")


async def _newest_job(server: GitLabServer, number: int):  # type: ignore[no-untyped-def]  # noqa: ANN202
    while len(server.state.jobs) < number:
        await asyncio.sleep(0.01)
    return max(server.state.jobs.values(), key=lambda job: job.id)


async def _reconciler(
    store: Store, provider: GitLabProvider, clock: Callable[[], float], *, watching: bool = True
) -> Reconciler:
    fenced = await FencedStore.acquire(store, "daemon", ProcessIdentity.own(), time.monotonic())
    assert fenced is not None
    number = iter(range(10**6))

    async def providers() -> dict[str, GitLabProvider]:
        return {"work": provider}

    runtime = Runtime(clock, time.monotonic, lambda: 0.99, lambda: f"id{next(number)}")
    reconciler = Reconciler(fenced, providers, runtime)
    if watching:
        await reconciler.add_contexts()
    return reconciler


def _provider(server: GitLabServer, folder: Path, clock: Ahead | None = None) -> tuple[GitLabProvider, Paths]:
    user = server.add_user("ada")
    server.add_project("group/app", owners=[user])
    token, paths = server.add_token(user), _paths(folder)
    api = gitlab_api(server.url, lambda: token, paths, clock=clock or time.time)
    settings = GitLabSettings(server.url, "group/app")
    return GitLabProvider(
        settings,
        api,
        host="here",
        owner="0a0a0a0a",
        clock=clock or time.time,
        files_folder=folder,
        cache_key_file=folder / "cache.key",
    ), paths


def _workspace(name: str, now: float) -> Workspace:
    limits = policy(GITLAB, {})
    return Workspace(name, name, "work", None, None, None, Desired.RUNNING, 1, limits, now, now)


def _paths(folder: Path) -> Paths:
    paths = Paths(folder / "state", folder / "config", folder / "cache")
    database.prepare(paths)
    return paths


@contextmanager
def _instance(folder: Path, count: int) -> Iterator[dict[str, str]]:
    argv = [sys.executable, "-m", "benchmarks.gitlab_instance", str(folder), str(count)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
