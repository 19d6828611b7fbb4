"""`wsdash devfile`: check, and show the job that a devfile becomes."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from wsdash.backend.errors import UserError
from wsdash.commands.output import DONE, FAILED, coloured, print_json
from wsdash.devfile import DevfileError, Diagnostic, Verdict, caret, check, load, translate
from wsdash.devfile.limits import MAX_BYTES
from wsdash.paths import Paths

COLOURS = {"error": 31, "warning": 33, "info": 36}


def devfile(args: Namespace, paths: Paths) -> int:
    if args.action == "check":
        return _check(args)
    if args.action == "render":
        return _render(args)
    raise UserError(
        "`wsdash devfile flatten` is not available yet: parents are not read in this version",
        "`wsdash devfile check FILE` tells what is used of a devfile.",
    )


def _check(args: Namespace) -> int:
    if args.profile != "lenient":
        raise UserError(
            f"the profile {args.profile} is not available yet", "Use --profile lenient, which is the default."
        )
    texts = {file: _read(file) for file in args.files}
    verdicts = [check(text, file=file) for file, text in texts.items()]
    if args.json:
        print_json([asdict(verdict) for verdict in verdicts])
    else:
        for verdict in verdicts:
            _print(verdict, texts[verdict.file].decode(errors="replace"))
    return FAILED if any(verdict.verdict == "reject" for verdict in verdicts) else DONE


def _render(args: Namespace) -> int:
    """The job on standard output, remarks on standard error."""
    from wsdash.backend.job import render

    if args.provider != "local":
        raise UserError(
            f"rendering for the provider {args.provider} is not available yet", "Use --provider local."
        )
    text = _read(args.file)
    try:
        document = load(text, file=args.file)
        translation = translate(document)
    except DevfileError as error:
        _print(Verdict(args.file, "reject", error.diagnostics), text.decode(errors="replace"))
        return FAILED
    remarks = (*document.diagnostics, *translation.diagnostics)
    rejected = any(remark.severity == "error" for remark in remarks)
    for remark in remarks:
        print(_line(args.file, remark, colour=coloured(sys.stderr)), file=sys.stderr)
    if rejected:
        return FAILED
    if args.name:
        print(f"# workspace {args.name}")
    print(render(translation.workload), end="")
    return DONE


def _read(file: str) -> bytes:
    """At most one byte more than a devfile may have, which is enough to refuse the file."""
    try:
        with Path(file).open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}", "Give the path of a devfile.") from error


def _print(verdict: Verdict, text: str) -> None:
    for remark in verdict.diagnostics:
        print(_line(verdict.file, remark, colour=coloured(sys.stdout)))
        for line in caret(text, remark).splitlines():
            print(f"    {line}")
        if remark.hint:
            print(f"  {remark.hint}")
    print(f"{verdict.file}: {verdict.verdict}")


def _line(file: str, remark: Diagnostic, *, colour: bool) -> str:
    severity = f"\x1b[{COLOURS[remark.severity]}m{remark.severity}\x1b[0m" if colour else remark.severity
    return f"{file}:{remark.line}:{remark.column}: {severity}: {remark.message} ({remark.code})"
