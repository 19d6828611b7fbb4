"""Devfiles: find, read, check, and translate them to a workload.

    >>> from wsdash.devfile import check, load, translate
    >>> text = '''
    ... schemaVersion: 2.2.0
    ... components:
    ...   - name: dev
    ...     container:
    ...       image: docker.io/library/debian:13
    ...       memoryLimit: 1Gi
    ... commands:
    ...   - id: install
    ...     exec: {component: dev, commandLine: make install, workingDir: "${PROJECT_SOURCE}"}
    ... events:
    ...   postStart: [install]
    ... '''
    >>> check(text).verdict
    'accept'
    >>> translation = translate(load(text))
    >>> translation.main, translation.workload.image, translation.workload.resources.memory_limit
    ('dev', 'docker.io/library/debian:13', 1073741824)
    >>> [step.line for step in translation.workload.post_start]
    ['make install']
    >>> for problem in check(text.replace("1Gi", "1GB")).diagnostics:
    ...     print(f"{problem.line}:{problem.column} {problem.severity} {problem.code}")
    7:20 error quantity.invalid

`find` looks in a folder, `choose` among a repository's file names. `load` gives a `Document` with the place of
every value; `flatten` applies parents, overrides and variables (a `Folder` reads parents on this machine, `fetch`
remote ones), and `to_yaml` and `to_json` write the result. `check` reports every problem at once; `translate` returns
the workload and reports everything that it leaves out; `caret` shows a problem in its line. `default_document` is for
a repository without a devfile. Dev Containers are in `wsdash.devfile.devcontainer`.

Importing this package is cheap: each name's module is imported when the name is first used.
"""

from __future__ import annotations

from wsdash.devfile.lazy import attributes

# Instead of importing typing, which is slow.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from wsdash.devfile.default import default_document as default_document
    from wsdash.devfile.diagnostics import DevfileError as DevfileError
    from wsdash.devfile.diagnostics import Diagnostic as Diagnostic
    from wsdash.devfile.diagnostics import FetchError as FetchError
    from wsdash.devfile.diagnostics import Profile as Profile
    from wsdash.devfile.diagnostics import Severity as Severity
    from wsdash.devfile.diagnostics import Verdict as Verdict
    from wsdash.devfile.diagnostics import caret as caret
    from wsdash.devfile.locate import Folder as Folder
    from wsdash.devfile.locate import choose as choose
    from wsdash.devfile.locate import find as find
    from wsdash.devfile.quantity import format_quantity as format_quantity
    from wsdash.devfile.quantity import parse_quantity as parse_quantity
    from wsdash.devfile.resolve.fetch import fetch as fetch
    from wsdash.devfile.resolve.flatten import flatten as flatten
    from wsdash.devfile.resolve.flatten import flatten_async as flatten_async
    from wsdash.devfile.schema.document import Document as Document
    from wsdash.devfile.schema.document import load as load
    from wsdash.devfile.translation.translate import Translation as Translation
    from wsdash.devfile.translation.translate import translate as translate
    from wsdash.devfile.validate.check import PROFILES as PROFILES
    from wsdash.devfile.validate.check import check as check
    from wsdash.devfile.writer import to_json as to_json
    from wsdash.devfile.writer import to_yaml as to_yaml

_HOMES = {
    "PROFILES": "validate.check",
    "check": "validate.check",
    "default_document": "default",
    "DevfileError": "diagnostics",
    "Diagnostic": "diagnostics",
    "FetchError": "diagnostics",
    "fetch": "resolve.fetch",
    "Profile": "diagnostics",
    "Severity": "diagnostics",
    "Verdict": "diagnostics",
    "caret": "diagnostics",
    "Document": "schema.document",
    "load": "schema.document",
    "flatten": "resolve.flatten",
    "flatten_async": "resolve.flatten",
    "Folder": "locate",
    "choose": "locate",
    "find": "locate",
    "format_quantity": "quantity",
    "parse_quantity": "quantity",
    "Translation": "translation.translate",
    "translate": "translation.translate",
    "to_json": "writer",
    "to_yaml": "writer",
}

__getattr__, __dir__ = attributes(__name__, _HOMES, globals())
