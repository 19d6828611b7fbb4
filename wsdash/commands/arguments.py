"""The arguments and options of the verbs: each function adds some to a verb's parser."""

from __future__ import annotations

import os
from argparse import Action, ArgumentParser

TIMEOUT_S = 600.0
"""Seconds that `--wait` and `ssh` wait unless `--timeout` says otherwise."""


def _completed_by(action: Action, function: str) -> None:
    """Let argcomplete, when it asks, complete this argument by a function of `commands.completion`."""
    if "_ARGCOMPLETE" in os.environ:
        from wsdash.commands import completion

        action.completer = getattr(completion, function)  # type: ignore[attr-defined]


def name(parser: ArgumentParser) -> None:
    _completed_by(
        parser.add_argument("name", metavar="NAME", help="a workspace's name or id"), "workspace_names"
    )


def names(parser: ArgumentParser) -> None:
    action = parser.add_argument("names", metavar="NAME", nargs="+", help="names or ids of workspaces")
    _completed_by(action, "workspace_names")


def as_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def wait(parser: ArgumentParser) -> None:
    parser.add_argument("--wait", action="store_true", help="wait until it is done, and show how far it is")
    timeout(parser)


def now(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--now", action="store_true", help="end the job at once: what it has not saved is lost"
    )


def force(parser: ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="end the job though its work cannot be saved")


def hours(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--hours", type=seconds, default=1.0, metavar="H", help="by how many hours (%(default)g)"
    )


def timeout(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT_S,
        metavar="S",
        help="how long to wait, in seconds (%(default)g)",
    )


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


seconds.__name__ = "number of seconds"


def keep(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--keep-work",
        action="store_true",
        help="first put what is nowhere else into files here, and prove that they bring it back",
    )


def yes(parser: ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def context(parser: ArgumentParser) -> None:
    action = parser.add_argument("--context", metavar="C", help="where it runs (the default context)")
    _completed_by(action, "context_names")


def create_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="SOURCE", nargs="?", help="a Git URL or folder (the repository of this directory)"
    )
    context(parser)
    parser.add_argument("--name", metavar="N", help="the workspace's name (made from SOURCE)")
    parser.add_argument("--ref", metavar="R", help="a branch, tag or commit (the default branch)")
    parser.add_argument("--devfile", metavar="PATH", help="a path in the repository, or of a file here")
    choices(parser)
    parser.add_argument("--no-source", action="store_true", help="a workspace without a repository")


def choices(parser: ArgumentParser) -> None:
    parser.add_argument("--component", metavar="NAME", help="the devfile's component to run in")
    parser.add_argument("--image", metavar="IMAGE", help="a container image in place of the devfile's")
    parser.add_argument(
        "--secret",
        metavar="NAME",
        action="append",
        default=[],
        help="a variable that the job gets: a masked one of the project, or else with your environment's value",
    )


def list_options(parser: ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="deleted workspaces too")


def logs_options(parser: ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the job ends")
    parser.add_argument("--attempt", type=int, metavar="N", help="the log of attempt N (the newest)")


def devfile_options(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="report all problems of devfiles")
    check.add_argument("files", metavar="FILE", nargs="+")
    check.add_argument("--profile", choices=("lenient", "library", "gitlab"), default="lenient")
    as_json(check)
    flatten = actions.add_parser("flatten", help="print a devfile with its parents and variables applied")
    flatten.add_argument("file", metavar="FILE")
    as_json(flatten)
    render = actions.add_parser("render", help="print the job that a devfile becomes")
    render.add_argument("file", metavar="FILE")
    render.add_argument("--provider", choices=("local", "gitlab"), default="local")
    render.add_argument("--name", metavar="N", help="the workspace that it is for")
    check.add_argument("--fetch", action="store_true", help="fetch parents by their addresses too")
    for action in (flatten, render):
        action.add_argument("--offline", action="store_true", help="fetch no parent by its address")


def context_actions(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    as_json(actions.add_parser("list", help="the contexts, and which is the default"))
    add = actions.add_parser("add", help="connect to a project of a GitLab")
    add.add_argument("name", metavar="NAME", help="a name of your choice")
    add.add_argument("--url", metavar="U", help="the GitLab's address, with its sub-path if it has one")
    add.add_argument(
        "--project", metavar="P", help="the project whose pipelines run the workspaces: GROUP/NAME"
    )
    add.add_argument(
        "--placement",
        choices=("source", "own"),
        help="source: the project of the code; own: one of your own, which clones",
    )
    add.add_argument(
        "--tag", metavar="T", action="append", help="a tag that the runner must have; may be repeated"
    )
    add.add_argument("--image", metavar="I", help="the image where a devfile names none")
    add.add_argument("--job-timeout", metavar="T", help="how long a job may run: 90m, 8h, 2d (the project's)")
    add.add_argument("--ca-file", metavar="F", help="certificate authorities to trust beside the usual ones")
    add.add_argument("--injector-image", metavar="I", help="an image that brings GitLab's fork of VS Code")
    add.add_argument(
        "--volume", metavar="PATH", help="a folder that the runner mounts into its jobs (needs --tag)"
    )
    add.add_argument("--token-stdin", action="store_true", help="read the access token from standard input")
    add.add_argument("--force", action="store_true", help="add it even where no workspace would run")
    yes(add)
    as_json(add)
    for action, purpose in (("use", "make it the default"), ("remove", "take it out of config.toml")):
        named = actions.add_parser(action, help=purpose).add_argument("name", metavar="NAME")
        _completed_by(named, "context_names")


def daemon_options(parser: ArgumentParser) -> None:
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--detach", action="store_true", help="start it in the background")
    one.add_argument(
        "--status", action="store_true", help="show which process reconciles; exit 1 if none does"
    )
    one.add_argument("--stop", action="store_true", help="end the daemon; jobs go on")
    parser.add_argument(
        "--idle-exit", type=seconds, metavar="S", help="end after S seconds without anything to do"
    )


def support_options(parser: ArgumentParser) -> None:
    parser.add_argument("--output", metavar="FILE", help="where to write it (a new file in this folder)")


def shell(parser: ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def export_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="where to write: NAME.tar.gz, NAME.tar, or - for standard output"
    )
    parser.add_argument("--force", action="store_true", help="replace a FILE that is there")
    parser.add_argument("--stop", action="store_true", help="stop it first, and wait until it has ended")


def import_options(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="what `wsdash export` wrote, or - for standard input")
    parser.add_argument("--name", metavar="N", help="the workspace's name (the one it had)")
    context(parser)
    parser.add_argument("--start", action="store_true", help="want it running (it comes in stopped)")


def recover_options(parser: ArgumentParser) -> None:
    action = parser.add_argument("--context", metavar="C", help="only this context (all of them)")
    _completed_by(action, "context_names")
    parser.add_argument(
        "--adopt",
        metavar="NAME",
        action="append",
        default=[],
        help="take over one that another machine keeps alive",
    )
    parser.add_argument("--end", metavar="ID", action="append", default=[], help="end and remove an orphan")


def ports_options(parser: ArgumentParser) -> None:
    parser.add_argument("--forward", metavar="PORT[:HERE]", help="forward this port until ctrl+c")
    parser.add_argument(
        "--socket", metavar="PATH", help="to a socket that only you can use, not to a port here"
    )


def ssh_config_action(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=("install", "uninstall", "show"))
