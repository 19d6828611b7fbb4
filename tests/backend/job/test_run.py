"""`job.sh run` in real shells: commands in order, heartbeats, and a clean end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pexpect
import pytest

from tests.backend.job.conftest import Job, Running
from tests.backend.job.scripts import SCRIPTS
from tests.waiting import until_sync
from wsdash.backend.job.protocol import LINE_LIMIT
from wsdash.workload import Command, EnvVar, GitIdentity, Parallel, Sequential, Source, Workload


def test_commands_run_in_order_in_the_project_with_the_environment(job: Job) -> None:
    (job.projects / "app").mkdir(parents=True)
    workload = Workload(
        source=Source("https://example.com/app.git", folder="app"),
        env=(EnvVar("GREETING", "it's $HOME, `id` and\ntwo lines"),),
        pre_start=(Command("first", 'printf "%s|" "$GREETING"; basename "$PWD"'),),
        post_start=(
            Command("sub", "pwd", working_dir="${PROJECTS_ROOT}/app"),
            Command("own", 'echo "$EXTRA $PROJECT_SOURCE"', env=(EnvVar("EXTRA", "more"),)),
        ),
    )
    running = job.run_until_ready(workload)
    project = job.projects / "app"
    expected = ["it's $HOME, `id` and", "two lines|app", str(project), f"more {project}"]
    assert running.log.splitlines()[:4] == expected
    assert running.exits() == {"first": 0, "sub": 0, "own": 0}


def test_variables_named_like_the_scripts_own_reach_commands_and_break_nothing(job: Job) -> None:
    names = ("id", "line", "folder", "phase", "file", "stop", "worker", "status", "now", "source_url")
    shown = " ".join(f"${name}" for name in names)
    command = Command("show", f"echo {shown}", env=(EnvVar("pair", "p"),))
    workload = Workload(env=tuple(EnvVar(name, f"<{name}>") for name in names), post_start=(command,))
    running = job.run_until_ready(workload)
    assert running.log.splitlines()[0] == " ".join(f"<{name}>" for name in names)
    assert running.stop() == 0


def test_a_path_that_finds_nothing_fails_the_command_and_not_the_job(job: Job) -> None:
    workload = Workload(env=(EnvVar("PATH", "/nowhere"),), post_start=(Command("lost", "git --version"),))
    running = job.run_until_ready(workload)
    assert running.exits()["lost"] == 127
    assert running.stop() == 0


def test_a_failed_command_is_recorded_and_the_next_one_runs(job: Job) -> None:
    workload = Workload(
        pre_start=(Command("broken", "echo no; exit 3"),),
        post_start=(Command("nowhere", "true", working_dir="missing"), Command("after", "echo yes")),
    )
    running = job.run_until_ready(workload)
    assert running.exits() == {"broken": 3, "nowhere": 1, "after": 0}
    assert "preStart broken failed with exit code 3; the workspace continues." in running.log


def test_a_setup_that_is_killed_ends_the_job_which_says_so(job: Job) -> None:
    # The kernel kills so where memory runs out: not the command, but the shell that waits for it.
    workload = Workload(
        post_start=(Command("big", "kill -9 $PPID; exec sleep 600"),),
        pre_stop=(Command("goodbye", "true"),),
    )
    running = job.start("run", workload)
    assert running.process.wait(60) == 137
    assert "The setup was killed by signal 9 before it was done." in running.log
    assert running.exits() == {"goodbye": 0}
    assert not running.messages("ready") and not running.messages("end")


def test_a_parallel_group_runs_at_the_same_time_and_a_sequence_in_it_in_order(job: Job) -> None:
    # Each waits for what the other writes, so one after the other would never end.
    meet = "mkfifo a b 2>/dev/null; "
    workload = Workload(
        pre_start=(Command("pipes", meet),),
        post_start=(
            Parallel(
                "both",
                (
                    Command("left", "echo from-left >a; cat b"),
                    Sequential("right", (Command("one", "cat a"), Command("two", "echo from-right >b"))),
                ),
            ),
            Command("last", "echo last"),
        ),
    )
    running = job.run_until_ready(workload)
    assert set(running.log.split()) >= {"from-left", "from-right"}
    assert running.log.splitlines()[-1] == "last"
    assert set(running.exits().values()) == {0}


def test_a_sequence_that_says_so_stops_at_the_first_failure_also_of_a_parallel_group(job: Job) -> None:
    apart = Parallel("apart", (Command("bad", "exit 4"), Command("good", "true")))
    workload = Workload(
        post_start=(
            Sequential("setup", (Command("first", "true"), apart, Command("never", "true")), True),
            Command("after", "true"),
        )
    )
    running = job.run_until_ready(workload)
    assert running.exits() == {"first": 0, "bad": 4, "good": 0, "after": 0}


def test_what_is_to_be_done_once_is_done_until_it_succeeds_and_never_again(job: Job) -> None:
    prepare = Command("prepare", "echo try >>tries; [ -e allowed ]", once=True)
    workload = Workload(post_start=(Command("always", "echo start >>starts"), prepare))
    for allowed in (False, True, True):
        if allowed:
            (job.projects / "allowed").touch()
        assert job.run_until_ready(workload).stop() == 0
    assert (job.projects / "tries").read_text() == "try\n" * 2
    assert (job.projects / "starts").read_text() == "start\n" * 3
    changed = Workload(post_start=(Command("prepare", "echo other >>tries", once=True),))
    job.run_until_ready(changed)
    assert (job.projects / "tries").read_text().endswith("other\n")


@pytest.mark.parametrize("stop_on_failure", [False, True])
def test_what_comes_after_readiness_does_not_hold_it_up(job: Job, stop_on_failure: bool) -> None:
    steps = (Command("early", "true"), Command("late", "mkfifo go; cat go"), Command("last", "true"))
    workload = Workload(post_start=(Sequential("setup", steps, stop_on_failure),), ready_after="early")
    running = job.run_until_ready(workload)
    until_sync(lambda: (job.projects / "go").exists(), what="the late command")
    assert running.exits() == {"early": 0}
    (job.projects / "go").write_text("come")
    until_sync(lambda: running.exits() == {"early": 0, "late": 0, "last": 0}, what="the rest")
    assert len(running.messages("ready")) == 1


def test_a_workspace_is_ready_also_when_what_it_waits_for_never_came(job: Job) -> None:
    steps = (Command("bad", "exit 1"), Command("awaited", "true"))
    workload = Workload(post_start=(Sequential("setup", steps, True),), ready_after="awaited")
    assert job.run_until_ready(workload).exits() == {"bad": 1}


def test_named_variables_are_put_into_a_value_and_a_line_and_no_others(job: Job) -> None:
    workload = Workload(
        env=(EnvVar("MORE", "${PROJECT_SOURCE}/bin:$HOME ${HOME}", ("PROJECT_SOURCE",)),),
        post_start=(
            Command("say", "echo '${PROJECT_SOURCE} ${HOME}'; echo \"$MORE\"", expands=("PROJECT_SOURCE",)),
        ),
    )
    running = job.run_until_ready(workload)
    source = job.projects
    assert running.log.splitlines()[:2] == [f"{source} ${{HOME}}", f"{source}/bin:$HOME ${{HOME}}"]


def test_a_command_reads_no_input(job: Job) -> None:
    running = job.run_until_ready(Workload(post_start=(Command("read", "cat; echo done"),)))
    assert "done" in running.log


def test_heartbeats_come_from_the_start_and_while_a_command_runs(job: Job) -> None:
    job.environment["WSDASH_BEAT_S"] = "0.05"
    running = job.start("run", Workload(post_start=(Command("long", "sleep 60"),)))
    until_sync(lambda: len(running.messages("beat")) >= 3)
    assert not running.messages("ready")
    beat = running.messages("beat")[0]
    assert beat.number("at") and beat.number("disk_free") and beat.number("load") is not None


def test_a_heartbeat_is_found_behind_output_without_a_newline(job: Job) -> None:
    job.environment["WSDASH_BEAT_S"] = "0.05"
    running = job.start("run", Workload(post_start=(Command("bar", "printf 50%%; sleep 60"),)))
    until_sync(lambda: running.log.startswith("50%") and len(running.messages("beat")) >= 3)
    assert "beat" not in running.log


def test_term_runs_pre_stop_and_ends_well(job: Job) -> None:
    workload = Workload(pre_stop=(Command("bye", "echo saved; exit 1"), Command("more", "echo more")))
    running = job.run_until_ready(workload)
    assert running.stop() == 0
    assert running.log.splitlines()[-3:] == [
        "saved",
        "wsdash: preStop bye failed with exit code 1; the workspace continues.",
        "more",
    ]
    assert running.messages("end")[0].fields["cause"] == "cancelled"


def test_term_during_post_start_ends_the_command_and_what_it_started(job: Job) -> None:
    line = "sh -c 'trap \"echo told; exit\" TERM; echo up; sleep 60 & wait'; echo never"
    workload = Workload(
        post_start=(Command("long", line), Command("next", "echo never")),
        pre_stop=(Command("bye", "echo bye"),),
    )
    running = job.start("run", workload)
    until_sync(lambda: "up" in running.log)
    assert running.stop() == 0
    assert "told" in running.log and "bye" in running.log and "never" not in running.log


def test_the_deadline_ends_the_job_by_itself(job: Job) -> None:
    job.environment["WSDASH_DEADLINE"] = "1"
    running = job.start("run", Workload(pre_stop=(Command("bye", "echo bye"),)))
    assert running.process.wait(60) == 0
    assert running.messages("end")[0].fields["cause"] == "deadline"
    assert "bye" in running.log


def test_a_deadline_that_is_no_number_is_said_and_ignored(job: Job) -> None:
    job.environment["WSDASH_DEADLINE"] = "soon; exit"
    running = job.run_until_ready(Workload())
    assert "WSDASH_DEADLINE" in running.log


def test_no_line_of_the_protocol_is_longer_than_its_limit(job: Job) -> None:
    long = Command("x" * 500, "exit 255")
    workload = Workload(pre_start=(long,), post_start=(long,), pre_stop=(long,))
    running = job.run_until_ready(workload)
    running.stop()
    lines = [line for line in running.output.read_bytes().splitlines(True) if b"wsdash/1" in line]
    assert len(lines) >= 8
    assert max(map(len, lines)) <= LINE_LIMIT


def test_an_entrypoint_runs_beside_the_workspace(job: Job) -> None:
    running = job.run_until_ready(Workload(entrypoint=("sh", "-c", 'echo "serving $1"', "sh", "a b")))
    until_sync(lambda: running.exits() == {"entrypoint": 0})
    assert "serving a b" in running.log


def test_missing_tools_are_a_line_in_the_log(job: Job) -> None:
    tools = job.folder / "bin"
    tools.mkdir()
    for name in ("sleep", "mkdir", "sh"):
        (tools / name).symlink_to(shutil.which(name) or name)
    job.shell = (shutil.which(job.shell[0]) or job.shell[0], *job.shell[1:])
    job.environment["PATH"] = str(tools)
    running = job.run_until_ready(Workload(post_start=(Command("hi", "echo hi"),)))
    assert "hi" in running.log
    if job.shell[0].endswith("dash"):  # a busybox has its tools inside
        assert "wsdash: df is missing" in running.log and "wsdash: date is missing" in running.log
    assert running.stop() == 0


def test_enter_gives_a_command_the_workspace_and_its_exit_code(job: Job) -> None:
    workload = Workload(env=(EnvVar("GREETING", "hello  there"), EnvVar("PATH", "/usr/bin:/bin:/extra")))
    running = job.start("enter", workload, "sh", "-c", 'echo "$GREETING|$PATH|$PWD"; exit 7')
    assert running.process.wait(60) == 7
    assert running.log.strip() == f"hello  there|/usr/bin:/bin:/extra|{job.projects}"


@pytest.mark.parametrize(
    ("known", "given", "taken"),
    [
        ("C\\nC.utf8\\nde_DE.utf8\\n", "de_DE.UTF-8", "de_DE.UTF-8"),
        ("C\\nC.utf8\\n", "de_DE.UTF-8", "C.UTF-8"),
        ("C\\nPOSIX\\n", "de_DE.UTF-8", "none"),
        ("", "de_DE.UTF-8", "de_DE.UTF-8"),
    ],
    ids=["an image that has it", "with C.UTF-8", "with C alone", "without a list, as musl's"],
)
def test_the_language_of_the_terminal_is_one_that_the_image_knows(
    job: Job, known: str, given: str, taken: str
) -> None:
    tools = job.folder / "tools"
    tools.mkdir()
    (tools / "locale").write_text(f"#!/bin/sh\nprintf '{known}'\n" if known else "#!/bin/sh\nexit 127\n")
    (tools / "locale").chmod(0o755)
    job.environment |= {"PATH": f"{tools}:{job.environment.get('PATH', os.environ['PATH'])}"}
    job.environment |= {"LANG": given, "LC_TIME": given}
    running = job.start("enter", Workload(), "sh", "-c", 'echo "${LANG-none} ${LC_TIME-none}"')
    assert running.process.wait(60) == 0
    assert running.log.strip() == f"{taken} {taken}"


def test_a_login_shell_keeps_the_workloads_environment(job: Job) -> None:
    (job.folder / ".profile").write_text("PATH=/usr/bin:/bin; FROM_PROFILE=yes; export PATH FROM_PROFILE\n")
    workload = Workload(env=(EnvVar("PATH", "/usr/bin:/bin:/extra"),))
    running = job.start("enter", workload)
    assert running.process.wait(60) == 0
    script_file = job.folder / "workload.sh"
    # The same shell, told what to do after its profile.
    line = f'. {script_file}; environment; echo "$PATH $FROM_PROFILE"'
    shown = subprocess.run(
        ["sh", "-lc", line],
        env={"HOME": str(job.folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert shown.stdout.split() == ["/usr/bin:/bin:/extra", "yes"]


def test_a_wrong_call_is_told_how(job: Job) -> None:
    running = job.start("dance", Workload())
    assert running.process.wait(60) == 64
    assert "usage" in running.log


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    program = shutil.which("shellcheck")
    if program is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([program, "--shell=sh", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()


def actives(running: Running) -> list[float]:
    return [at for message in running.messages("beat") if (at := message.number("active")) is not None]


def idle_since(running: Running) -> float:
    """The last activity, once two heartbeats say that there has been none since."""

    def settled() -> list[float]:
        last = actives(running)[-3:]
        return last if len(last) == 3 and len(set(last)) == 1 else []

    return until_sync(settled, 20.0, "a workspace that is idle")[0]


@pytest.mark.parametrize(("entry", "least"), [("fetch", 1), ("run", 3)])
def test_each_heartbeat_is_valid_json_and_the_first_one_too(job: Job, entry: str, least: int) -> None:
    running = job.start(entry, Workload(post_start=(Command("long", "sleep 60"),)))

    def beats() -> list[bytes]:
        lines = running.output.read_bytes().splitlines()
        return [line for line in lines if line.startswith(b"wsdash/1 beat ")]

    until_sync(lambda: len(beats()) >= least, 10.0, "heartbeats")
    told = [json.loads(line.split(b" ", 2)[2]) for line in beats()]
    assert all(beat["at"] >= beat["active"] > 0 for beat in told)


@pytest.mark.parametrize("ready_after", [None, ""])
def test_a_setup_is_activity_until_its_last_command_ends_though_it_computes_nothing(
    job: Job, ready_after: str | None
) -> None:
    go_on = job.folder / "go-on"
    install = Command("install", f"until [ -e {go_on} ]; do sleep 0.1; done")
    running = job.start("run", Workload(post_start=(install,), ready_after=ready_after))
    began = until_sync(lambda: actives(running), 10.0, "a heartbeat")[0]
    until_sync(lambda: actives(running)[-1] >= began + 2, 10.0, "activity while it waits")
    go_on.touch()
    assert idle_since(running) >= began + 2


def test_without_a_shell_nothing_is_active_after_the_setup(job: Job) -> None:
    running = job.run_until_ready(Workload())
    since = idle_since(running)
    count = len(actives(running))
    until_sync(lambda: len(actives(running)) >= count + 2, 10.0, "some heartbeats")
    assert actives(running)[-1] == since


def test_a_command_that_runs_in_the_workspace_is_activity_while_it_does(job: Job) -> None:
    running = job.run_until_ready(Workload())
    start = idle_since(running)
    inside = job.start("enter", Workload(), "sleep", "60")
    until_sync(lambda: actives(running)[-1] > start, 10.0, "activity")
    inside.process.kill()
    inside.process.wait(60)
    until_sync(
        lambda: not list((job.projects / ".wsdash" / "sessions").iterdir()), 10.0, "its end to be noticed"
    )
    count, last = len(actives(running)), actives(running)[-1]
    until_sync(lambda: len(actives(running)) >= count + 2, 10.0, "more heartbeats")
    assert actives(running)[-1] == last


def test_what_is_typed_into_a_shell_is_activity_and_an_open_one_is_not(job: Job) -> None:
    running = job.run_until_ready(Workload())
    env = {**os.environ, "PROJECTS_ROOT": str(job.projects), "HOME": str(job.folder)}
    argv = [*job.shell, str(job.folder / "job.sh"), "enter", str(job.folder / "workload.sh"), "cat"]
    shell = pexpect.spawn(argv[0], argv[1:], env=env, timeout=60)
    sessions = job.projects / ".wsdash" / "sessions"
    until_sync(lambda: list(sessions.iterdir()) if sessions.exists() else [], 10.0, "the shell")
    opened, count = time.time(), len(actives(running))
    until_sync(lambda: len(actives(running)) >= count + 2, 10.0, "heartbeats with an open shell")
    assert actives(running)[-1] <= opened + 8  # a terminal tells the time of its last input in steps of 8 s
    before = actives(running)[-1]

    def typed() -> bool:
        shell.sendline("x")
        shell.expect("x")
        return actives(running)[-1] > before

    until_sync(typed, 20.0, "activity after what was typed")
    shell.close(force=True)


def test_a_process_with_a_declared_name_is_activity_while_it_runs(job: Job, tmp_path: Path) -> None:
    program = tmp_path / "long-build"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    job.environment["WSDASH_KEEP_AWAKE"] = "make long-build"
    running = job.run_until_ready(Workload())
    start = until_sync(lambda: actives(running), 10.0, "a heartbeat")[0]
    with subprocess.Popen([str(program), "60"]) as build:
        until_sync(lambda: actives(running)[-1] > start, 10.0, "activity")
        build.kill()


def test_what_a_container_computes_is_activity_above_the_limit(job: Job, tmp_path: Path) -> None:
    (tmp_path / "cgroup.type").write_text("domain\n")
    used = tmp_path / "cpu.stat"
    used.write_text("usage_usec 1000000\nuser_usec 5\n")
    job.environment |= {"WSDASH_CGROUP": str(tmp_path), "WSDASH_IDLE_CPU": "30"}
    running = job.run_until_ready(Workload())
    start = idle_since(running)
    used.write_text("usage_usec 9000000\nuser_usec 5\n")
    until_sync(lambda: actives(running)[-1] > start, 10.0, "activity")


def test_where_others_use_the_machine_too_what_the_job_itself_computes_is_activity(
    job: Job, tmp_path: Path
) -> None:
    # The tests are the job's parent, and compute a little too.
    job.environment |= {"WSDASH_CGROUP": str(tmp_path / "none"), "WSDASH_IDLE_CPU": "60"}
    idle = job.run_until_ready(Workload())
    # What others compute is none of it.
    assert idle_since(idle)
    idle.stop()
    compute = "for one in 1 2 3; do timeout 15 sh -c 'while :; do :; done' & done; wait"
    # Beside the setup, which counts as activity itself.
    busy = job.run_until_ready(Workload(entrypoint=("sh", "-c", compute)))
    start = until_sync(lambda: actives(busy), 10.0, "a heartbeat")[-1]
    until_sync(lambda: actives(busy)[-1] > start + 1, 10.0, "activity")


def test_what_wsdash_itself_computes_for_a_checkpoint_is_no_activity(job: Job, tmp_path: Path) -> None:
    folder = tmp_path / "run/checkpoint"
    folder.mkdir(parents=True)
    job.environment |= {"WSDASH_CGROUP": str(tmp_path / "none"), "WSDASH_IDLE_CPU": "60"}
    job.environment["WSDASH_RUN"] = str(tmp_path / "run")
    compute = "timeout 60 sh -c 'while :; do :; done' & echo $! >\"$WSDASH_RUN/checkpoint/streamer\"; wait"
    running = job.run_until_ready(Workload(entrypoint=("sh", "-c", compute)))
    until_sync(lambda: (folder / "streamer").exists(), 10.0, "the checkpoint")
    assert idle_since(running)
    helper = int((folder / "streamer").read_text())
    assert Path(f"/proc/{helper}").exists(), "it still computes"
    os.kill(helper, signal.SIGTERM)


def git_settings(job: Job, *words: str) -> str:
    env = {"HOME": str(job.folder), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", "config", *words], env=env, capture_output=True, text=True, check=False
    ).stdout.strip()


def test_commits_have_their_user_s_name_where_the_workspace_says_no_other(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    workload = Workload(git_identity=GitIdentity("Ada $(id) L'ovelace", "ada@example.com"))
    job.run_until_ready(workload)
    assert git_settings(job, "--global", "user.name") == "Ada $(id) L'ovelace"
    (job.folder / ".gitconfig").write_text("[user]\nemail = other@example.com\n")
    job.run_until_ready(Workload(git_identity=GitIdentity("Ada", "new@example.com")))
    assert git_settings(job, "--global", "user.email") == "other@example.com"
