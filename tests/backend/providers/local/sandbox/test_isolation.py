"""What jobs are kept from, what they are given, and how it is found out what works here."""

# mypy: disable-error-code="type-abstract"

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

import wsdash
from tests.backend.providers.contract import Harness, attempt, workspace
from tests.waiting import until
from wsdash.backend.providers.errors import NotRunning, PermanentError
from wsdash.backend.providers.features import Shells
from wsdash.backend.providers.local import Isolation, LocalProvider
from wsdash.backend.providers.local.sandbox import detect, isolation
from wsdash.backend.providers.local.sandbox.isolation import Host, JobPaths
from wsdash.backend.providers.types import ShellCommand
from wsdash.model import Cause, JobState
from wsdash.workload import Command, Resources, Service, Volume, Workload

HOST = Host(
    (("bin", "usr/bin"), ("etc", None), ("home", None), ("usr", None), ("tmp", None), ("var", None)),
    "/home/me",
)
JOB_PATHS = JobPaths("a1", Path("/state/workspaces/w1"), Path("/state/jobs/a1/job"), Path("/state"))
PROMPT = "[#$] "
DOCKER = Isolation("docker", "/usr/bin/docker", user=("--user", "1000:1000"), limits=True, init=True)


# --- command lines --------------------------------------------------------------------------------


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


# --- probing --------------------------------------------------------------------------------------


def fake(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_a_program_on_the_path_that_cannot_run_anything_is_not_used(tmp_path: Path) -> None:
    for name in ("podman", "docker", "bwrap"):
        fake(tmp_path / "bin", name, f"echo {name} has no daemon >&2; exit 1")
    found = detect.find(tmp_path, {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    assert (found.best.kind, found.imageless.kind) == ("plain", "plain")
    notes = "\n".join(found.notes)
    assert "The devfile's image is not used" in notes
    assert (
        "podman does not work here: podman has no daemon. Where it works, jobs run in the devfile's image"
        in notes
    )
    assert "bubblewrap does not work here" in notes


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    found = detect.find(tmp_path, {"PATH": str(tmp_path)})
    assert found.best.kind == "plain"
    assert [note for note in found.notes if "is not installed" in note]


def test_what_was_found_is_remembered_until_asked_again(tmp_path: Path) -> None:
    environ = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    fake(tmp_path / "bin", "podman", f"echo x >>{tmp_path}/asked; exit 1")
    (asked := tmp_path / "asked").touch()
    first = detect.find(tmp_path, environ)
    count = asked.read_text()
    assert count and detect.find(tmp_path, environ) == first
    assert asked.read_text() == count
    detect.find(tmp_path, environ, again=True)
    assert asked.read_text() > count


def test_a_kind_can_be_forced(tmp_path: Path) -> None:
    assert detect.find(tmp_path, {"PATH": "/usr/bin:/bin", detect.FORCE: "plain"}).best.kind == "plain"


@pytest.mark.parametrize(
    ("kind", "says"), [("chroot", "no kind of isolation"), ("docker", "is not installed")]
)
async def test_a_forced_kind_that_does_not_work_is_refused_with_the_reason(
    tmp_path: Path, kind: str, says: str
) -> None:
    provider = LocalProvider(tmp_path, environ={"PATH": str(tmp_path), detect.FORCE: kind})
    with pytest.raises(PermanentError, match=says):
        await provider.capabilities()
    with pytest.raises(PermanentError, match=says):
        await provider.launch(workspace(), attempt(), Workload())


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
    assert "the volume cache is not at /nowhere/cache" in log
    assert "the component db (postgres:16) is not started" in log


@pytest.mark.parametrize("name", ["../../escape", "a/b", ""])
async def test_a_volume_whose_name_is_no_name_is_refused(plain: Harness, name: str) -> None:
    with pytest.raises(PermanentError, match="is no id"):
        await plain.provider.launch(workspace(), attempt(), Workload(volumes=(Volume(name, "/x"),)))


# --- the real thing -------------------------------------------------------------------------------


async def test_a_sandboxed_job_cannot_change_the_machine_or_see_what_is_the_users(
    sandboxed: Harness, root: Path
) -> None:
    secret = Path.home() / f".wsdash-test-{os.getpid()}"
    secret.write_text("secret")
    try:
        await sandboxed.launch(sandboxed.workload("true"))
        tries = f"cat {secret}; ls {root}/jobs; touch /usr/x /etc/x; ls /run/*.sock; ls -A ~ | wc -l"
        _, output = await sandboxed.run_inside(
            "sh", "-c", f"({tries}) 2>/dev/null; mount -o remount,rw / 2>&1"
        )
        assert output.split()[0] == b"0"
        assert b"secret" not in output
    finally:
        secret.unlink()
    assert not Path("/usr/x").exists() and not Path("/etc/x").exists()


async def test_a_shell_in_a_sandbox_sees_the_jobs_processes_and_ends_with_the_job(sandboxed: Harness) -> None:
    await sandboxed.launch(sandboxed.workload("sleep 4711 & true"))
    _, output = await sandboxed.run_inside("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert b"sleep 4711" in output and str(os.getpid()).encode() not in output.split()
    command = await sandboxed.having(Shells).shell(workspace(), attempt(), ("sh", "-c", "echo in; sleep 60"))
    shell = await asyncio.create_subprocess_exec(
        *command.argv, env=command.env, cwd=command.cwd, stdout=asyncio.subprocess.PIPE
    )
    assert shell.stdout is not None and await shell.stdout.readline() == b"in\n"
    await sandboxed.provider.force_cancel(attempt())
    # The signal reaches the shell, or first whoever stands between it and us.
    assert await asyncio.wait_for(shell.wait(), 60) in (128 + 9, -9)


async def test_there_is_no_shell_before_the_sandbox_is_there(sandboxed: Harness, tmp_path: Path) -> None:
    """The job is said to run a moment before that."""
    await sandboxed.launch(sandboxed.workload("true"))
    (record,) = tmp_path.rglob("sandbox.json")
    kept = record.read_bytes()
    record.unlink()
    with pytest.raises(NotRunning, match="only begins"):
        await sandboxed.run_inside("true")
    record.write_bytes(kept)
    assert (await sandboxed.run_inside("true"))[0] == 0


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


# --- small things that many jobs need -------------------------------------------------------------


async def test_a_root_whose_path_no_socket_could_have_is_listened_in(
    tmp_path: Path, leaves_nothing_running: None
) -> None:
    root = tmp_path / ("long-" * 30)
    harness = Harness(lambda: LocalProvider(root, isolation=Isolation("plain")))
    changes = harness.provider.changes()
    first = asyncio.ensure_future(anext(changes))
    await until(lambda: (root / "listeners").is_dir() and any((root / "listeners").iterdir()))
    await harness.launch(harness.workload("true"))
    assert await asyncio.wait_for(first, 60) == {attempt().id}
    await changes.aclose()  # type: ignore[attr-defined]
    await harness.close()


async def test_each_listener_hears_and_dead_ones_are_removed(plain: Harness, root: Path) -> None:
    dead = "import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind(sys.argv[1])"
    (root / "listeners").mkdir(parents=True)
    link = Path("/tmp") / f"wsdash-test-{os.getpid()}"
    link.symlink_to(root / "listeners")
    try:
        subprocess.run([sys.executable, "-c", dead, str(link / "dead")], check=True)
    finally:
        link.unlink()
    providers = [plain.make(), plain.make()]
    listening = [asyncio.ensure_future(anext(provider.changes())) for provider in providers]
    await until(lambda: len(list((root / "listeners").iterdir())) == 3)
    await plain.launch(plain.workload("true"))
    assert [await asyncio.wait_for(heard, 60) for heard in listening] == [{attempt().id}] * 2
    await until(lambda: not (root / "listeners" / "dead").exists())


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


async def test_the_login_shell_has_job_control_on_a_terminal(plain: Harness) -> None:
    await _check_login_shell(plain)


async def test_the_login_shell_of_a_sandbox_has_job_control_on_a_terminal(sandboxed: Harness) -> None:
    await _check_login_shell(sandboxed)


async def _check_login_shell(harness: Harness) -> None:
    await harness.launch(harness.workload("true"))
    command = await harness.having(Shells).shell(workspace(), attempt(), ())
    code, said = await asyncio.to_thread(_use_shell, command)
    assert code == 5, said
    assert "one-two" in said and "after-interrupt" in said
    assert "job control" not in said and "tcsetpgrp" not in said


def _use_shell(command: ShellCommand) -> tuple[int | None, str]:
    shell = pexpect.spawn(
        command.argv[0],
        list(command.argv[1:]),
        env=command.env,
        cwd=command.cwd,
        encoding="utf-8",
        timeout=60,
    )
    said = io.StringIO()
    shell.logfile_read = said
    shell.sendline("echo one-$((1 + 1)) | sed s/2/two/")
    shell.expect("one-two")
    shell.expect(PROMPT)
    shell.sendline("sh -c 'echo sleeping-$((2 + 3)); exec sleep 60'")
    shell.expect("sleeping-5")
    shell.sendintr()
    shell.expect(PROMPT)
    shell.sendline("echo after-interrupt; exit 5")
    shell.expect(pexpect.EOF)
    shell.close()
    return shell.exitstatus, said.getvalue()
