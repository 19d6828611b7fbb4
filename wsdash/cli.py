"""The command line: the table of verbs, their arguments, and the functions that run them.

Only the parser of the given verb is built, and only the modules that it needs are imported: scripts run
`wsdash list` often.
"""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import sys
from argparse import ArgumentParser, BooleanOptionalAction, HelpFormatter, Namespace
from collections.abc import Callable, Iterable, Sequence

from wsdash import __version__
from wsdash.commands import arguments

TYPE_CHECKING = False  # as in typing, which the quick verbs do without
if TYPE_CHECKING:
    from wsdash.paths import Paths

PIPE_CLOSED = 141
INTERRUPTED = 130
_OUTPUT_ERRORS = (errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC)

EPILOG = """\
exit codes: 0 done; 1 failed; 2 usage error; 3 no such workspace or context; 4 the provider refused or cannot be
reached; 5 timed out waiting
"""


class Verb:
    """A verb: its help text, the function that runs it (`module:function` below `commands`) and its arguments."""

    __slots__ = ("answer", "arguments", "purpose")

    def __init__(self, purpose: str, answer: str, *arguments: Callable[[ArgumentParser], object]) -> None:
        """Add the arguments by calling each of `arguments` with the verb's parser."""
        self.purpose = purpose
        self.answer = answer
        self.arguments = arguments


QUICK = frozenset({"list", "show", "events", "why", "plan"})
"""Verbs that only read the state store and print, without the service and an event loop."""

WITH_COMMAND = frozenset({"ssh", "session"})
"""Verbs that take a command to run after `--`."""

VERBS: dict[str, Verb] = {
    "create": Verb(
        "create a workspace from a Git repository",
        "create:create",
        arguments.create_options,
        arguments.wait,
        arguments.yes,
        arguments.as_json,
    ),
    "list": Verb(
        "list all workspaces and their phases",
        "list:list_workspaces",
        arguments.list_options,
        arguments.as_json,
    ),
    "show": Verb(
        "show one workspace: job, steps, attempts and events", "show:show", arguments.name, arguments.as_json
    ),
    "start": Verb("start workspaces", "lifecycle:start", arguments.names, arguments.wait),
    "stop": Verb(
        "stop workspaces and keep their files",
        "lifecycle:stop",
        arguments.names,
        arguments.force,
        arguments.now,
        arguments.wait,
    ),
    "restart": Verb(
        "end the jobs of workspaces and start new ones",
        "lifecycle:restart",
        arguments.names,
        arguments.force,
        arguments.now,
        arguments.wait,
    ),
    "update": Verb(
        "apply the current devfile of a workspace's source",
        "update:update",
        arguments.name,
        arguments.choices,
        arguments.force,
        arguments.wait,
        arguments.yes,
    ),
    "delete": Verb(
        "delete workspaces and all their files",
        "lifecycle:delete",
        arguments.names,
        arguments.keep,
        arguments.wait,
        arguments.yes,
    ),
    "extend": Verb(
        "postpone the autostop of workspaces", "lifecycle:extend", arguments.names, arguments.hours
    ),
    "logs": Verb("print the log of a workspace's job", "ssh:logs", arguments.name, arguments.logs_options),
    "events": Verb("print the events of a workspace", "show:events", arguments.name, arguments.as_json),
    "why": Verb(
        "explain the phase of a workspace in a sentence", "show:why", arguments.name, arguments.as_json
    ),
    "plan": Verb("print the next step of the reconciler for each workspace", "show:plan", arguments.as_json),
    "ssh": Verb(
        "open a shell in a workspace, or run a command: NAME -- CMD...",
        "ssh:ssh",
        arguments.name,
        arguments.during_setup,
        arguments.timeout,
    ),
    "session": Verb(
        "start, list and attach to programs that run on in a workspace",
        "session:session",
        arguments.name,
        arguments.session_actions,
    ),
    "export": Verb(
        "copy a workspace with its files into an archive",
        "transfer:export",
        arguments.name,
        arguments.export_options,
        arguments.timeout,
    ),
    "import": Verb(
        "create a workspace from an archive", "transfer:import_", arguments.import_options, arguments.as_json
    ),
    "devfile": Verb(
        "check a devfile, flatten it, or print the job that it becomes",
        "devfiles:devfile",
        arguments.devfile_options,
    ),
    "context": Verb(
        "list, add or remove contexts: the places where workspaces run",
        "contexts:context",
        arguments.context_actions,
    ),
    "daemon": Verb("run the reconciler without a dashboard", "daemon:daemon", arguments.daemon_options),
    "relay": Verb(
        "report or stop the relay, to which jobs of a GitLab connect",
        "relay:relay",
        arguments.relay_options,
        arguments.as_json,
    ),
    "doctor": Verb("check this machine and the state of wsdash", "doctor:doctor", arguments.as_json),
    "support": Verb(
        "write an archive for a bug report, with secrets removed",
        "support:support",
        arguments.support_options,
    ),
    "completion": Verb("print the completion script of a shell", "completion:completion", arguments.shell),
    "open": Verb(
        "open a workspace's editor in the browser",
        "editor:open_editor",
        arguments.name,
        arguments.timeout,
        arguments.as_json,
    ),
    "code": Verb(
        "open a workspace's folder in a desktop editor",
        "desktop_editor:code",
        arguments.name,
        arguments.code_options,
        arguments.timeout,
        arguments.as_json,
    ),
    "ports": Verb(
        "list the ports of a workspace, or forward one",
        "ports:ports",
        arguments.name,
        arguments.ports_options,
        arguments.timeout,
        arguments.as_json,
    ),
    "connect": Verb(
        "carry an ssh connection to a workspace; `ssh NAME.wsdash` runs this",
        "proxy_command:connect",
        arguments.name,
        arguments.timeout,
    ),
    "ssh-config": Verb(
        "set up `ssh NAME.wsdash` for all workspaces",
        "ports:ssh_config",
        arguments.ssh_config_action,
        arguments.yes,
    ),
    "recover": Verb(
        "rebuild lost workspaces from GitLab or from their folders",
        "recover:recover",
        arguments.recover_options,
        arguments.yes,
        arguments.as_json,
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. Errors are printed, never raised."""
    argv = list(sys.argv[1:] if argv is None else argv)
    verb = argv[0] if argv and argv[0] in VERBS else ""
    if verb in QUICK:
        gc.disable()  # a collection takes a sixth of a quick verb's time and finds nothing
    os.umask(os.umask(0o077) & 0o077)  # what wsdash makes it must be able to read and enter
    try:
        _fill_streams()
        code = _answer(argv, verb)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _forget_output()  # its reader has gone
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
            gc.freeze()  # else the interpreter collects everything once more when it ends
            gc.enable()


def _fill_streams() -> None:
    """Open each standard stream that the caller closed: otherwise the next file opened would take its number.

    A closed standard output is replaced by one that rejects writes, so that lost output is an error.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        if descriptor == 1:
            os.close(descriptor)
            os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # what an encoding lacks is shown by its number


def _output_problem(error: Exception | None = None) -> str | None:
    """Return the system's message if standard output cannot be written to, None if it can.

    `error` is the exception that ended the verb; it may or may not come from standard output.
    """
    try:
        sys.stdout.flush()
        if isinstance(error, OSError) and error.filename is None and error.errno in _OUTPUT_ERRORS:
            os.write(1, b"\n")  # without a buffer, nothing is left that a flush could try
    except OSError as problem:
        return problem.strerror
    return None


def _no_output(problem: str) -> int:
    """Print that standard output failed, and return the exit code."""
    from wsdash.backend.errors import UserError
    from wsdash.commands.errors import report

    _forget_output()
    return report(
        UserError(f"standard output cannot be written to: {problem}", "Redirect the output to another file.")
    )


def _forget_output() -> None:
    """Discard what is still in the buffer, which must not fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _answer(argv: list[str], verb: str) -> int:
    if "_ARGCOMPLETE" in os.environ:
        from wsdash.commands.completion import answer

        answer(build_parser(VERBS))
    if argv and not verb and not argv[0].startswith("-"):
        raise _unknown_verb(argv[0])
    argv, command = split_command(argv) if verb in WITH_COMMAND else (argv, [])
    needed: Iterable[str] = [verb] if verb else VERBS if {"-h", "--help"}.intersection(argv) else []
    args = build_parser(needed).parse_args(argv)
    args.command = command
    args.verb = verb

    from wsdash.paths import Paths

    paths = Paths.from_environment()
    fault = (
        _config_fault(paths) if verb and verb not in ("doctor", "support") else None
    )  # these two report it themselves
    try:
        return function_of(verb)(args, paths)
    except Exception as error:
        if fault is not None and fault in str(error):
            return getattr(error, "exit_code", 1)  # printed already
        raise


def _config_fault(paths: Paths) -> str | None:
    """Print the error of config.toml, if there is one; a verb that does not need the settings goes on."""
    if not os.path.lexists(paths.config_file):
        return None
    from wsdash.commands.console import print_stderr
    from wsdash.config.settings import ConfigError, load_config
    from wsdash.sanitize import one_line

    try:
        load_config(paths.config_file)
    except ConfigError as error:
        print_stderr(f"wsdash: {one_line(str(error))}")
        return str(error)
    return None


def function_of(verb: str) -> Callable[[Namespace, Paths], int]:
    """Return the function that runs the verb; that of "" runs the dashboard."""
    module, _, name = (VERBS[verb].answer if verb else "dashboard:dashboard").partition(":")
    function: Callable[[Namespace, Paths], int] = getattr(
        importlib.import_module(f"wsdash.commands.{module}"), name
    )
    return function


def build_parser(verbs: Iterable[str]) -> ArgumentParser:
    """Return a parser for these verbs and for the options of the dashboard."""
    parser = ArgumentParser(
        prog="wsdash",
        description="Development workspaces on CI runners. Without a verb, wsdash opens the dashboard.",
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
    """Return a formatter of a fixed width: argparse would ask the terminal for its width at every start."""
    return HelpFormatter(prog, width=80)


def split_command(argv: list[str]) -> tuple[list[str], list[str]]:
    """Split at the first `--`: the arguments of wsdash, and the command to run in the workspace."""
    if "--" not in argv:
        return argv, []
    cut = argv.index("--")
    return argv[:cut], argv[cut + 1 :]


def _unknown_verb(word: str) -> Exception:
    import difflib

    from wsdash.backend.errors import UserError

    near = difflib.get_close_matches(word, VERBS, 1, 0.5)
    hint = f"Did you mean `wsdash {near[0]}`?" if near else "`wsdash --help` lists the verbs."
    return UserError(f"there is no verb {word}", hint, exit_code=2)
