"""The arguments and options of the verbs: each function adds some to a verb's parser."""

from __future__ import annotations

import os
from argparse import Action, ArgumentParser

TYPE_CHECKING = False  # as in typing, which the quick verbs do without
if TYPE_CHECKING:
    from argparse import _SubParsersAction

    _Actions = _SubParsersAction[ArgumentParser]

TIMEOUT_S = 600.0
"""The default of `--timeout`."""


def _completed_by(action: Action, function: str) -> None:
    """Let argcomplete complete this argument with a function of `commands.completion`."""
    if "_ARGCOMPLETE" in os.environ:
        from wsdash.commands import completion

        action.completer = getattr(completion, function)  # type: ignore[attr-defined]


def _action(actions: _Actions, name: str, purpose: str) -> ArgumentParser:
    """Add an action of a verb, with a sentence for its own help and for that of the verb."""
    return actions.add_parser(name, help=purpose, description=purpose)


def name(parser: ArgumentParser) -> None:
    """Add NAME, one workspace."""
    _completed_by(
        parser.add_argument("name", metavar="NAME", help="a workspace's name or id"), "workspace_names"
    )


def names(parser: ArgumentParser) -> None:
    """Add NAME..., one or more workspaces."""
    action = parser.add_argument("names", metavar="NAME", nargs="+", help="names or ids of workspaces")
    _completed_by(action, "workspace_names")


def as_json(parser: ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def wait(parser: ArgumentParser) -> None:
    """Add `--wait` and `--timeout`."""
    parser.add_argument("--wait", action="store_true", help="wait until it is done, and print the progress")
    timeout(parser)


def now(parser: ArgumentParser) -> None:
    """Add `--now`."""
    parser.add_argument(
        "--now", action="store_true", help="end the job at once; work that it has not saved is lost"
    )


def force(parser: ArgumentParser) -> None:
    """Add `--force` of the verbs that end a job."""
    parser.add_argument("--force", action="store_true", help="end the job even if its work cannot be saved")


def hours(parser: ArgumentParser) -> None:
    """Add `--hours`."""
    parser.add_argument(
        "--hours", type=seconds, default=1.0, metavar="H", help="the number of hours (%(default)g)"
    )


def timeout(parser: ArgumentParser) -> None:
    """Add `--timeout`, in seconds."""
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT_S,
        metavar="S",
        help="how long to wait, in seconds (%(default)g)",
    )


def during_setup(parser: ArgumentParser) -> None:
    """Add `--during-setup`."""
    parser.add_argument(
        "--during-setup",
        action="store_true",
        help="enter as soon as the job runs, before its setup has ended",
    )


def seconds(text: str) -> float:
    """Parse a positive, finite number. Raises `ValueError`."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


seconds.__name__ = "number of seconds"


def keep(parser: ArgumentParser) -> None:
    """Add `--keep-work`."""
    parser.add_argument(
        "--keep-work",
        action="store_true",
        help="first save unsaved work to files on this machine, and test that it can be restored",
    )


def yes(parser: ArgumentParser) -> None:
    """Add `--yes`."""
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def context(parser: ArgumentParser) -> None:
    """Add `--context` of the verbs that make a workspace."""
    action = parser.add_argument(
        "--context", metavar="C", help="the context to run it in (the default context)"
    )
    _completed_by(action, "context_names")


def create_options(parser: ArgumentParser) -> None:
    """Add the arguments of `create`."""
    parser.add_argument(
        "source", metavar="SOURCE", nargs="?", help="a Git URL or folder (the repository of this directory)"
    )
    context(parser)
    parser.add_argument("--name", metavar="N", help="the workspace's name (made from SOURCE)")
    parser.add_argument("--ref", metavar="R", help="a branch, tag or commit (the default branch)")
    parser.add_argument("--devfile", metavar="PATH", help="a path in the repository, or of a file here")
    choices(parser)
    parser.add_argument("--no-source", action="store_true", help="create a workspace without a repository")


def choices(parser: ArgumentParser) -> None:
    """Add the options of `create` and `update` that override the devfile: component, image and secrets."""
    parser.add_argument("--component", metavar="NAME", help="the devfile's component to run in")
    parser.add_argument("--image", metavar="IMAGE", help="a container image in place of the devfile's")
    parser.add_argument(
        "--secret",
        metavar="NAME",
        action="append",
        default=[],
        help="a variable for the job: a masked one of the project, else the one of your environment; may be repeated",
    )


def list_options(parser: ArgumentParser) -> None:
    """Add the options of `list`."""
    parser.add_argument("--all", action="store_true", help="include deleted workspaces")


def logs_options(parser: ArgumentParser) -> None:
    """Add the options of `logs`."""
    parser.add_argument("-f", "--follow", action="store_true", help="keep printing until the job ends")
    parser.add_argument("--attempt", type=int, metavar="N", help="the log of attempt N (the newest)")
    parser.add_argument(
        "--raw",
        action="store_true",
        help="the log as the provider has it, with the runner's own lines and marks",
    )


def devfile_options(parser: ArgumentParser) -> None:
    """Add the actions of `devfile` with their arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = _action(actions, "check", "report all problems of devfiles")
    check.add_argument("files", metavar="FILE", nargs="+", help="devfiles or devcontainer.json files")
    check.add_argument(
        "--profile",
        choices=("lenient", "library", "gitlab"),
        default="lenient",
        help="the rules of wsdash (lenient, the default), devfile/library or GitLab Workspaces",
    )
    as_json(check)
    flatten = _action(actions, "flatten", "print a devfile with its parents and variables applied")
    flatten.add_argument("file", metavar="FILE", help="a devfile")
    as_json(flatten)
    render = _action(actions, "render", "print the job that a devfile becomes")
    render.add_argument("file", metavar="FILE", help="a devfile or devcontainer.json")
    render.add_argument(
        "--provider",
        choices=("local", "gitlab"),
        default="local",
        help="print it as a local job (the default) or as a GitLab pipeline",
    )
    render.add_argument("--name", metavar="N", help="the name of the workspace in the printed job")
    check.add_argument("--fetch", action="store_true", help="also fetch parents that are given by URL")
    for action in (flatten, render):
        action.add_argument(
            "--offline", action="store_true", help="do not fetch parents that are given by URL"
        )


def context_actions(parser: ArgumentParser) -> None:
    """Add the actions of `context` with their arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    as_json(_action(actions, "list", "list the contexts, and which one is the default"))
    add = _action(actions, "add", "add a project of a GitLab, or change such a context")
    add.add_argument("name", metavar="NAME", help="a name of your choice")
    add.add_argument("--url", metavar="U", help="the GitLab's address, with its sub-path if it has one")
    add.add_argument(
        "--project", metavar="P", help="the project whose pipelines run the workspaces: GROUP/NAME"
    )
    add.add_argument(
        "--placement",
        choices=("source", "own"),
        help="source: run in the project of the code; own: run in a project of yours, which clones the code",
    )
    add.add_argument(
        "--tag", metavar="T", action="append", help="a tag that the runner must have; may be repeated"
    )
    add.add_argument("--image", metavar="I", help="the image for devfiles that name none")
    add.add_argument("--job-timeout", metavar="T", help="how long a job may run: 90m, 8h, 2d (the project's)")
    add.add_argument("--ca-file", metavar="F", help="a file of further certificate authorities to trust")
    add.add_argument("--injector-image", metavar="I", help="an image that contains GitLab's fork of VS Code")
    add.add_argument(
        "--volume", metavar="PATH", help="a folder that the runner mounts into its jobs (needs --tag)"
    )
    way = add.add_mutually_exclusive_group()
    way.add_argument(
        "--access-host", metavar="H", help="this machine's name or address, by which runners can reach it"
    )
    way.add_argument("--no-access", action="store_true", help="do not set up the way into workspaces")
    add.add_argument("--token-stdin", action="store_true", help="read the access token from standard input")
    add.add_argument("--force", action="store_true", help="add it even if no workspace could run there")
    yes(add)
    as_json(add)
    for action, purpose in (
        ("use", "make a context the default"),
        ("remove", "remove a context from config.toml"),
    ):
        named = _action(actions, action, purpose).add_argument(
            "name", metavar="NAME", help="the name of a context"
        )
        _completed_by(named, "context_names")


def session_actions(parser: ArgumentParser) -> None:
    """Add the actions of `session` with their arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    start = _action(
        actions, "start", "start a program: by its profile, or CMD after --; or an ended one again"
    )
    start.add_argument("--profile", metavar="P", help="a profile: how to start, resume and watch a program")
    start.add_argument("--name", dest="session", metavar="S", help="the session's name (that of the program)")
    start.add_argument("--prompt", metavar="TEXT", help="with --profile: the first task of the program")
    found = _action(actions, "list", "list the sessions, those that wait for somebody first")
    attach = _action(actions, "attach", "show a session on this terminal; F12 leaves it")
    stop = _action(actions, "stop", "end a session's program")
    stop.add_argument("--forget", action="store_true", help="remove it from the list too")
    send = _action(actions, "send", "type a text into a session, and the return key")
    screen = _action(actions, "screen", "print what a session's terminal shows")
    why = _action(actions, "why", "explain a session's state by the fact that decided it")
    wait = _action(actions, "wait", "wait until a session is in one of some states")
    for action in (attach, stop, send, screen, why, wait):
        action.add_argument("session", metavar="S", help="the session's name")
    send.add_argument("text", metavar="TEXT", help="the text; - reads it from standard input")
    send.add_argument("--no-enter", action="store_true", help="do not press the return key after it")
    screen.add_argument(
        "--lines", type=int, default=0, metavar="N", help="also N lines that scrolled out of it"
    )
    wait.add_argument(
        "--for",
        dest="states",
        default="waiting,done,failed",
        metavar="STATES",
        help="separated by commas (%(default)s)",
    )
    for action in (found, why):
        as_json(action)
    for action in (start, found, attach, stop, send, screen, why, wait):
        timeout(action)


def daemon_options(parser: ArgumentParser) -> None:
    """Add the options of `daemon`."""
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--detach", action="store_true", help="start it in the background")
    one.add_argument(
        "--status", action="store_true", help="print which process is the reconciler; exit 1 if there is none"
    )
    one.add_argument("--stop", action="store_true", help="stop the daemon; jobs keep running")
    parser.add_argument(
        "--idle-exit", type=seconds, metavar="S", help="end after S seconds with nothing to do"
    )


def relay_options(parser: ArgumentParser) -> None:
    """Add the options of `relay`."""
    one = parser.add_mutually_exclusive_group()
    one.add_argument(
        "--status",
        action="store_true",
        help="print where it listens and who is connected; exit 1 if none runs",
    )
    one.add_argument("--stop", action="store_true", help="stop it; jobs keep running")


def support_options(parser: ArgumentParser) -> None:
    """Add the options of `support`."""
    parser.add_argument("--output", metavar="FILE", help="the archive to write (a new file in this folder)")


def shell(parser: ArgumentParser) -> None:
    """Add the name of a shell."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that reads the script")


def export_options(parser: ArgumentParser) -> None:
    """Add the arguments of `export`, besides NAME."""
    parser.add_argument(
        "file", metavar="FILE", help="the archive to write: NAME.tar.gz, NAME.tar, or - for standard output"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing FILE")
    parser.add_argument(
        "--stop", action="store_true", help="also stop the workspace: before the copy, on a GitLab after it"
    )


def import_options(parser: ArgumentParser) -> None:
    """Add the arguments of `import`."""
    parser.add_argument(
        "file", metavar="FILE", help="an archive from `wsdash export`, or - for standard input"
    )
    parser.add_argument("--name", metavar="N", help="the workspace's name (the one it had)")
    context(parser)
    parser.add_argument("--start", action="store_true", help="start it (otherwise it is stopped)")


def recover_options(parser: ArgumentParser) -> None:
    """Add the options of `recover`."""
    action = parser.add_argument("--context", metavar="C", help="only this context (all contexts)")
    _completed_by(action, "context_names")
    parser.add_argument(
        "--adopt",
        metavar="NAME",
        action="append",
        default=[],
        help="take over a workspace that another machine manages",
    )
    parser.add_argument("--end", metavar="ID", action="append", default=[], help="end and remove an orphan")


def ports_options(parser: ArgumentParser) -> None:
    """Add the options of `ports`, besides NAME."""
    parser.add_argument(
        "--forward",
        metavar="PORT[:HERE]",
        help="forward PORT to the port HERE (PORT) of this machine until ctrl+c",
    )
    parser.add_argument(
        "--socket",
        metavar="PATH",
        help="forward from this Unix socket, which only you can use, instead of a port",
    )
    parser.add_argument(
        "--all", action="store_true", help="forward all ports that are declared or have a listening process"
    )
    parser.add_argument(
        "--open",
        action="store_true",
        help="with --forward: open its page in a browser, or print the ssh command for your own machine",
    )


def ssh_config_action(parser: ArgumentParser) -> None:
    """Add the action of `ssh-config`."""
    parser.add_argument(
        "action",
        choices=("install", "uninstall", "show", "remote"),
        help="add an Include line to ~/.ssh/config, remove it, or print the configuration: of this machine (show), or "
        "of another one that connects through this one (remote)",
    )


def code_options(parser: ArgumentParser) -> None:
    """Add the options of `code`, besides NAME."""
    from wsdash.config.values import DESKTOP_EDITORS

    parser.add_argument(
        "--editor",
        choices=DESKTOP_EDITORS,
        metavar="E",
        help=f"{', '.join(DESKTOP_EDITORS)} (the one of config.toml, or the first on the PATH)",
    )
    parser.add_argument(
        "--print",
        action="store_true",
        help="print the command and the address for the machine that you sit at",
    )
