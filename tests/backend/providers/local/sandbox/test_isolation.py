"""The restrictions and permissions of jobs, and the detection of what works on this machine."""

# mypy: disable-error-code="type-abstract"

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from shlex import quote

import pytest

import wsdash
from tests.backend.providers.contract import Harness, attempt, workspace
from tests.waiting import until
from wsdash.backend.providers.errors import PermanentError
from wsdash.backend.providers.features import Shells
from wsdash.backend.providers.local import Isolation
from wsdash.backend.providers.local.sandbox import isolation
from wsdash.backend.providers.local.sandbox.isolation import Host, JobPaths
from wsdash.model import Cause, JobState
from wsdash.workload import Command, Resources, Service, Volume, Workload

HOST = Host(
    (("bin", "usr/bin"), ("etc", None), ("home", None), ("usr", None), ("tmp", None), ("var", None)),
    "/home/me",
)
JOB_PATHS = JobPaths("a1", Path("/state/workspaces/w1"), Path("/state/jobs/a1/job"), Path("/state"))
DOCKER = Isolation("docker", "/usr/bin/docker", user=("--user", "1000:1000"), limits=True, init=True)


def test_the_sandbox_shows_the_machine_read_only_and_no_home() -> None:
    argv = isolation.bubblewrap_argv("bwrap", JOB_PATHS, HOST, ())
    words = " ".join(argv)
    assert "--ro-bind /usr /usr" in words and "--symlink usr/bin /bin" in words
    assert "--ro-bind /home" not in words and "--bind /state/workspaces/w1/home /home/me" in words
    assert "--bind /state/workspaces/w1/projects /projects" in words
    assert "--tmpfs /state" in words
    assert {"--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts"} <= set(argv)
    assert " /state/workspaces/w1 " not in words


@pytest.mark.parametrize(
    ("path", "mountable"),
    [
        ("/data", True),
        ("/home/me/.m2", True),
        ("/tmp/x", True),
        ("/usr/share", True),
        ("/usr/nowhere/x", False),
    ],
)
def test_a_volume_needs_a_place_that_exists_or_can_be_made(path: str, mountable: bool) -> None:
    volume = Volume("v", path)
    refused = isolation.unmountable(Isolation("bubblewrap"), HOST, (volume,), frozenset({"/usr/share"}))
    assert (refused == {}) == mountable
    assert isolation.unmountable(Isolation("plain"), HOST, (volume,), frozenset())
    assert not isolation.unmountable(DOCKER, HOST, (volume,), frozenset())


def test_a_container_gets_its_folders_limits_and_user() -> None:
    limits = Resources(cpu_limit=1.5, memory_limit=2**30)
    workload = Workload(image="debian:12", resources=limits, volumes=(Volume("m2", "/cache, with comma"),))
    argv = isolation.container_argv(DOCKER, JOB_PATHS, workload, {"A": "b c"})
    assert argv[:4] == ("/usr/bin/docker", "run", "--name", "wsdash-a1")
    assert argv[-5:] == ("--pull", "never", "--entrypoint", "sh", "debian:12")
    words = " ".join(argv)
    assert "--user 1000:1000" in words and "--cpus 1.5 --memory 1073741824" in words and "--init" in words
    assert 'type=bind,source=/state/workspaces/w1/volumes/m2,"target=/cache, with comma"' in argv
    assert "A=b c" in argv


def test_only_what_a_job_needs_of_the_users_environment_is_passed_on() -> None:
    environ = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "https_proxy": "http://p",
        "SSH_AUTH_SOCK": "/s",
        "API_TOKEN": "t",
    }
    given = isolation.job_environment(Isolation("plain"), JOB_PATHS, "/home/me", environ)
    assert given["PATH"] == "/bin" and given["LC_ALL"] == "C" and given["https_proxy"] == "http://p"
    assert given["HOME"] == "/state/workspaces/w1/home"
    assert not {"SSH_AUTH_SOCK", "API_TOKEN"} & set(given)
    assert "PATH" not in isolation.job_environment(DOCKER, JOB_PATHS, "/home/me", environ)


async def test_the_log_says_that_the_image_was_not_used_and_what_else_is_missing(plain: Harness) -> None:
    workload = Workload(
        image="debian:12",
        volumes=(Volume("cache", "/nowhere/cache"),),
        services=(Service("db", "postgres:16"),),
        post_start=(Command("one", "true"),),
    )
    await plain.launch(workload)
    log = (await plain.log()).decode()
    assert "the image debian:12 is not used" in log
    assert "the volume cache is not mounted at /nowhere/cache" in log
    assert "the component db (postgres:16) is not started" in log


@pytest.mark.parametrize("name", ["../../escape", "a/b", ""])
async def test_a_volume_whose_name_is_no_name_is_refused(plain: Harness, name: str) -> None:
    with pytest.raises(PermanentError, match="is not a valid id"):
        await plain.provider.launch(workspace(), attempt(), Workload(volumes=(Volume(name, "/x"),)))


async def test_a_sandboxed_job_cannot_change_the_machine_or_see_what_is_the_users(
    sandboxed: Harness, root: Path
) -> None:
    secret = Path.home() / f".wsdash-test-{os.getpid()}"
    secret.write_text("secret")
    try:
        await sandboxed.launch(sandboxed.workload("true"))
        tries = (
            f"cat {quote(str(secret))}; ls {root}/jobs; touch /usr/x /etc/x; ls /run/*.sock; ls -A ~ | wc -l"
        )
        _, output = await sandboxed.run_inside(
            "sh", "-c", f"({tries}) 2>/dev/null; mount -o remount,rw / 2>&1"
        )
        assert output.split()[0] == b"0"
        assert b"secret" not in output
    finally:
        secret.unlink()
    assert not Path("/usr/x").exists() and not Path("/etc/x").exists()


async def test_a_killed_supervisor_takes_its_sandbox_along(sandboxed: Harness) -> None:
    job = await sandboxed.launch(sandboxed.workload("touch ~/up; sleep 4712 & true"))
    os.kill(int(job.job_id), 9)
    await sandboxed.until(attempt(), lambda job: job.state is JobState.LOST)
    await sandboxed.provider.force_cancel(attempt())
    await until(lambda: subprocess.run(["pgrep", "-f", "sleep 4712"], capture_output=True).returncode == 1)


async def test_an_image_that_cannot_be_had_ends_the_job_with_the_engines_words(contained: Harness) -> None:
    await contained.provider.launch(workspace(), attempt(), Workload(image="localhost/no-such-image:1"))
    job = await contained.ended()
    assert job.cause is Cause.IMAGE
    assert job.message and "no-such-image" in job.message
    assert [(step.phase, step.failed) for step in job.steps] == [("image", True)]


async def test_a_container_is_gone_after_its_supervisor_was_killed(contained: Harness) -> None:
    job = await contained.launch(contained.workload("true"))
    os.kill(int(job.job_id), 9)
    await contained.until(attempt(), lambda job: job.state is JobState.LOST)
    assert (await contained.provider.launch(workspace(), attempt(), Workload())).state is JobState.LOST
    await contained.provider.force_cancel(attempt())
    assert (await contained.ended()).cause is Cause.RUNNER_LOST
    with pytest.raises(PermanentError):
        await contained.having(Shells).shell(workspace(), attempt(), ())


async def test_a_workload_without_an_image_does_not_run_in_a_container(contained: Harness) -> None:
    job = await contained.launch(Workload(post_start=(Command("one", "true"),)))
    assert job.isolation in ("bubblewrap", "plain")


def test_a_supervisor_loads_little() -> None:
    """A hundred may run."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "import wsdash.backend.providers.local.supervisor.main; print(*sys.modules, sep='\\n')"
    )
    argv = [sys.executable, "-I", "-S", "-c", code, str(Path(wsdash.__file__).parents[1])]
    loaded = set(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split())
    assert (
        not {"asyncio", "dataclasses", "typing", "pydantic", "psutil", "subprocess", "wsdash.model"} & loaded
    )
