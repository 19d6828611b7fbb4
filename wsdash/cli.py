"""The command line: which verbs there are, what they take, and which function answers.

Only the verb that is asked for is set up, and only what it needs is imported, for `wsdash list` is run often
and by scripts.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from argparse import Action, ArgumentParser, BooleanOptionalAction, HelpFormatter, Namespace
from collections.abc import Callable, Iterable, Sequence

from wsdash import __version__

TYPE_CHECKING = False  # as in typing, which the quick verbs do without
if TYPE_CHECKING:
    from wsdash.paths import Paths

PIPE_CLOSED = 141
INTERRUPTED = 130
TIMEOUT_S = 600.0
_OUTPUT_ERRORS = (errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC)

EPILOG = """\
exit codes: 0 done; 1 it failed; 2 usage; 3 no such workspace or context; 4 the provider refused or cannot be
reached; 5 timed out waiting
"""


class Verb:
    """One verb: what it is for, the function that answers (`module:function`), and what it takes."""

    __slots__ = ("answer", "arguments", "purpose")

    def __init__(self, purpose: str, answer: str, *arguments: Callable[[ArgumentParser], object]) -> None:
        self.purpose = purpose
        self.answer = answer
        self.arguments = arguments


def _completed_by(action: Action, function: str) -> None:
    """Let argcomplete, when it asks, complete this argument by a function of `commands.completion`."""
    if "_ARGCOMPLETE" in os.environ:
        from wsdash.commands import completion

        action.completer = getattr(completion, function)  # type: ignore[attr-defined]


def _name(parser: ArgumentParser) -> None:
    _completed_by(
        parser.add_argument("name", metavar="NAME", help="a workspace's name or id"), "workspace_names"
    )


def _names(parser: ArgumentParser) -> None:
    action = parser.add_argument("names", metavar="NAME", nargs="+", help="names or ids of workspaces")
    _completed_by(action, "workspace_names")


def _json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _wait(parser: ArgumentParser) -> None:
    parser.add_argument("--wait", action="store_true", help="wait until it is done, and show how far it is")
    _timeout(parser)


def _now(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--now", action="store_true", help="end the job at once: what it has not saved is lost"
    )


def _force(parser: ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="end the job though its work cannot be saved")


def _hours(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--hours", type=_seconds, default=1.0, metavar="H", help="by how many hours (%(default)g)"
    )


def _timeout(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=TIMEOUT_S,
        metavar="S",
        help="how long to wait, in seconds (%(default)g)",
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


_seconds.__name__ = "number of seconds"


def _keep(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--keep-work",
        action="store_true",
        help="first put what is nowhere else into files here, and prove that they bring it back",
    )


def _yes(parser: ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _context(parser: ArgumentParser) -> None:
    action = parser.add_argument("--context", metavar="C", help="where it runs (the default context)")
    _completed_by(action, "context_names")


def _create(parser: ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="SOURCE", nargs="?", help="a Git URL or folder (the repository of this directory)"
    )
    _context(parser)
    parser.add_argument("--name", metavar="N", help="the workspace's name (made from SOURCE)")
    parser.add_argument("--ref", metavar="R", help="a branch, tag or commit (the default branch)")
    parser.add_argument("--devfile", metavar="PATH", help="a path in the repository, or of a file here")
    _choices(parser)
    parser.add_argument("--no-source", action="store_true", help="a workspace without a repository")


def _choices(parser: ArgumentParser) -> None:
    parser.add_argument("--component", metavar="NAME", help="the devfile's component to run in")
    parser.add_argument("--image", metavar="IMAGE", help="a container image in place of the devfile's")
    parser.add_argument(
        "--secret",
        metavar="NAME",
        action="append",
        default=[],
        help="a variable that the job gets: a masked one of the project, or else with your environment's value",
    )


def _list(parser: ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="deleted workspaces too")


def _logs(parser: ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the job ends")
    parser.add_argument("--attempt", type=int, metavar="N", help="the log of attempt N (the newest)")


def _devfile(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="tell everything that is wrong with devfiles")
    check.add_argument("files", metavar="FILE", nargs="+")
    check.add_argument("--profile", choices=("lenient", "library", "gitlab"), default="lenient")
    _json(check)
    flatten = actions.add_parser("flatten", help="print a devfile with its parents and variables applied")
    flatten.add_argument("file", metavar="FILE")
    _json(flatten)
    render = actions.add_parser("render", help="print the job that a devfile becomes")
    render.add_argument("file", metavar="FILE")
    render.add_argument("--provider", choices=("local", "gitlab"), default="local")
    render.add_argument("--name", metavar="N", help="the workspace that it is for")
    check.add_argument("--fetch", action="store_true", help="fetch parents by their addresses too")
    for action in (flatten, render):
        action.add_argument("--offline", action="store_true", help="fetch no parent by its address")


def _contexts(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _json(actions.add_parser("list", help="the contexts, and which is the default"))
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
    _yes(add)
    _json(add)
    for action, purpose in (("use", "make it the default"), ("remove", "take it out of config.toml")):
        named = actions.add_parser(action, help=purpose).add_argument("name", metavar="NAME")
        _completed_by(named, "context_names")


def _daemon(parser: ArgumentParser) -> None:
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--detach", action="store_true", help="start it in the background")
    one.add_argument("--status", action="store_true", help="tell who reconciles; exit 1 if nobody does")
    one.add_argument("--stop", action="store_true", help="end the daemon; jobs go on")
    parser.add_argument(
        "--idle-exit", type=_seconds, metavar="S", help="end after S seconds without anything to do"
    )


def _shell(parser: ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def _export(parser: ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="where to write: NAME.tar.gz, NAME.tar, or - for standard output"
    )
    parser.add_argument("--force", action="store_true", help="replace a FILE that is there")
    parser.add_argument("--stop", action="store_true", help="stop it first, and wait until it has ended")


def _import(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="what `wsdash export` wrote, or - for standard input")
    parser.add_argument("--name", metavar="N", help="the workspace's name (the one it had)")
    _context(parser)
    parser.add_argument("--start", action="store_true", help="want it running (it comes in stopped)")


def _recover(parser: ArgumentParser) -> None:
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


def _ports(parser: ArgumentParser) -> None:
    parser.add_argument("--forward", metavar="PORT[:HERE]", help="forward this port until ctrl+c")
    parser.add_argument(
        "--socket", metavar="PATH", help="to a socket that only you can use, not to a port here"
    )


def _ssh_config(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=("install", "uninstall", "show"))


QUICK = frozenset({"list", "show", "events", "why", "plan"})
"""Verbs that read, print and end, with no service and no event loop."""

VERBS: dict[str, Verb] = {
    "create": Verb("make a workspace from a Git repository", "create:create", _create, _wait, _yes, _json),
    "list": Verb("all workspaces and their phases", "show:list_workspaces", _list, _json),
    "show": Verb("one workspace: job, steps, attempts, events", "show:show", _name, _json),
    "start": Verb("want workspaces running", "lifecycle:start", _names, _wait),
    "stop": Verb("want workspaces stopped; their files stay", "lifecycle:stop", _names, _force, _now, _wait),
    "restart": Verb(
        "end the jobs of workspaces and start new ones", "lifecycle:restart", _names, _force, _now, _wait
    ),
    "update": Verb(
        "run what a workspace's devfile says now", "update:update", _name, _choices, _force, _wait, _yes
    ),
    "delete": Verb("remove workspaces with all their files", "lifecycle:delete", _names, _keep, _wait, _yes),
    "extend": Verb("put off the autostop of workspaces", "lifecycle:extend", _names, _hours),
    "logs": Verb("the log of a workspace's job", "ssh:logs", _name, _logs),
    "events": Verb("what happened to a workspace", "show:events", _name, _json),
    "why": Verb("why a workspace is where it is, in a sentence", "show:why", _name, _json),
    "plan": Verb("what the reconciler would do next, and why", "show:plan", _json),
    "ssh": Verb("open a shell in a workspace, or run a command: NAME -- CMD...", "ssh:ssh", _name, _timeout),
    "export": Verb(
        "copy a workspace with its files into an archive", "transfer:export", _name, _export, _timeout
    ),
    "import": Verb("make a workspace from an archive", "transfer:import_", _import, _json),
    "devfile": Verb("check a devfile, flatten it, or print the job it becomes", "devfiles:devfile", _devfile),
    "context": Verb("the places where workspaces run", "contexts:context", _contexts),
    "daemon": Verb("keep jobs alive without a dashboard", "daemon:daemon", _daemon),
    "doctor": Verb("check this machine and the state of wsdash", "doctor:doctor", _json),
    "completion": Verb("print the completion script of a shell", "completion:completion", _shell),
    "open": Verb("open a workspace's editor in the browser", "editor:open_editor", _name, _timeout, _json),
    "ports": Verb(
        "what a workspace listens on; forward one of its ports", "ports:ports", _name, _ports, _json
    ),
    "connect": Verb(
        "hand a connection to a workspace to ssh: what ssh-config has it run",
        "proxy_command:connect",
        _name,
        _timeout,
    ),
    "ssh-config": Verb("have `ssh NAME.wsdash` lead into workspaces", "ports:ssh_config", _ssh_config, _yes),
    "recover": Verb(
        "rebuild workspaces from what GitLab or their folders have of them",
        "recover:recover",
        _recover,
        _yes,
        _json,
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Answer one command line, and return the exit code. Expected errors are told, never raised."""
    argv = list(sys.argv[1:] if argv is None else argv)
    verb = argv[0] if argv and argv[0] in VERBS else ""
    if verb in QUICK:
        gc.disable()  # a sixth of a quick verb's time would go into looking for garbage that is not there
    try:
        _fill_streams()
        code = _answer(argv, verb)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _forget_output()  # whoever read it has gone
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit:  # argparse's, after a help or a usage error
        if (problem := _output_problem()) is not None:
            return _no_output(problem)
        raise
    except Exception as error:
        from wsdash.commands.errors import fail

        problem = _output_problem(error)
        return fail(error) if problem is None else _no_output(problem)
    finally:
        if verb in QUICK:
            gc.freeze()  # so that the interpreter's end does not look through everything either
            gc.enable()


def _fill_streams() -> None:
    """A stream that was closed leads nowhere: else the next file that is opened would take its place.

    Standard output is then one that cannot be written to, so that it is told where something should be.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        if descriptor == 1:
            os.close(descriptor)
            os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115


def _output_problem(error: Exception | None = None) -> str | None:
    """Why standard output does not take what was printed, in the system's words; `error` may be of that or not."""
    try:
        sys.stdout.flush()
        if isinstance(error, OSError) and error.filename is None and error.errno in _OUTPUT_ERRORS:
            os.write(1, b"\n")  # without a buffer, nothing is left that a flush could try
    except OSError as problem:
        return problem.strerror
    return None


def _no_output(problem: str) -> int:
    """Tell that what was printed went nowhere. Returns the exit code."""
    from wsdash.backend.errors import UserError
    from wsdash.commands.errors import report

    _forget_output()
    return report(UserError(f"standard output cannot be written to: {problem}", "Print to another place."))


def _forget_output() -> None:
    """What is still in the buffer must not fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _answer(argv: list[str], verb: str) -> int:
    if "_ARGCOMPLETE" in os.environ:
        from wsdash.commands.completion import answer

        answer(build_parser(VERBS))
    if argv and not verb and not argv[0].startswith("-"):
        raise _unknown_verb(argv[0])
    argv, command = split_command(argv) if verb == "ssh" else (argv, [])
    needed: Iterable[str] = [verb] if verb else VERBS if {"-h", "--help"}.intersection(argv) else []
    args = build_parser(needed).parse_args(argv)
    args.command = command
    args.verb = verb

    from wsdash.paths import Paths

    paths = Paths.from_environment()
    fault = _config_fault(paths) if verb and verb != "doctor" else None  # these two say so themselves
    try:
        return function_of(verb)(args, paths)
    except Exception as error:
        if fault is not None and fault in str(error):
            return getattr(error, "exit_code", 1)  # it is told already
        raise


def _config_fault(paths: Paths) -> str | None:
    """Tell what is wrong with config.toml, if anything; a verb that can do without its settings goes on."""
    if not os.path.lexists(paths.config_file):
        return None
    from wsdash.commands.console import tell
    from wsdash.config.settings import ConfigError, load_config
    from wsdash.sanitize import one_line

    try:
        load_config(paths.config_file)
    except ConfigError as error:
        tell(f"wsdash: {one_line(str(error))}")
        return str(error)
    return None


def function_of(verb: str) -> Callable[[Namespace, Paths], int]:
    """The function that answers the verb; "" is the dashboard."""
    module, _, name = (VERBS[verb].answer if verb else "dashboard:dashboard").partition(":")
    function: Callable[[Namespace, Paths], int] = getattr(
        importlib.import_module(f"wsdash.commands.{module}"), name
    )
    return function


def build_parser(verbs: Iterable[str]) -> ArgumentParser:
    """A parser that knows these verbs, and the options of the dashboard."""
    parser = ArgumentParser(
        prog="wsdash",
        description="Development workspaces from a terminal. Without a verb: the dashboard.",
        epilog=EPILOG,
        formatter_class=_help,
    )
    parser.add_argument("--version", action="version", version=f"wsdash {__version__}")
    parser.add_argument("--ascii", action=BooleanOptionalAction, help="draw the dashboard in ASCII")
    parser.add_argument("--mouse", action=BooleanOptionalAction, help="use the mouse in the dashboard")
    parser.add_argument("--theme", metavar="NAME", help="the dashboard's theme")
    subparsers = parser.add_subparsers(metavar="VERB", prog="wsdash")
    for name in verbs:
        subparser = subparsers.add_parser(
            name, help=VERBS[name].purpose, description=VERBS[name].purpose, formatter_class=_help
        )
        for add in VERBS[name].arguments:
            add(subparser)
    return parser


def _help(prog: str) -> HelpFormatter:
    """Help of a fixed width: argparse would ask the terminal at every start, help or not."""
    return HelpFormatter(prog, width=80)


def split_command(argv: list[str]) -> tuple[list[str], list[str]]:
    """What stands before the first `--`, and what stands after it and belongs to the workspace."""
    if "--" not in argv:
        return argv, []
    cut = argv.index("--")
    return argv[:cut], argv[cut + 1 :]


def _unknown_verb(word: str) -> Exception:
    import difflib

    from wsdash.backend.errors import UserError

    near = difflib.get_close_matches(word, VERBS, 1, 0.5)
    hint = f"Did you mean `wsdash {near[0]}`?" if near else "`wsdash --help` names them all."
    return UserError(f"there is no verb {word}", hint, exit_code=2)
