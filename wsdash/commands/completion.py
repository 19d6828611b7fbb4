"""Completion in shells: the script that a shell reads, and the candidates for names."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace

from wsdash.paths import Paths

SHELLS = ("bash", "zsh", "fish")


def completion(args: Namespace, paths: Paths) -> int:
    """Print the completion script, for `eval "$(wsdash completion bash)"`."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["wsdash"], shell=args.shell))
    return 0


def answer(parser: ArgumentParser) -> None:
    """Complete the command line in argcomplete's environment variables, and end the process."""
    import argcomplete

    argcomplete.autocomplete(parser)


def workspace_names(**_: object) -> list[str]:
    """Return the names of all workspaces, for argcomplete."""
    from wsdash.commands.open_reader import reading

    with reading(Paths.from_environment()) as reader:
        return [row.workspace.name for row in reader.workspaces(time.time())]


def context_names(**_: object) -> list[str]:
    """Return the names of all contexts, for argcomplete."""
    from wsdash.config.settings import load_config

    return list(load_config(Paths.from_environment().config_file).contexts)
