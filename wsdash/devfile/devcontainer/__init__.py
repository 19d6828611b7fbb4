"""Dev Containers (containers.dev): translates a `devcontainer.json` to a workload, and reports what is left out.

    >>> from wsdash.devfile.devcontainer import load_devcontainer, translate_devcontainer
    >>> text = '''{
    ...   // what the project needs
    ...   "image": "mcr.microsoft.com/devcontainers/python:3.12",
    ...   "postCreateCommand": "pip install -e .",
    ...   "forwardPorts": [8000],
    ... }'''
    >>> translation = translate_devcontainer(load_devcontainer(text))
    >>> translation.workload.image, [port.number for port in translation.workload.ports]
    ('mcr.microsoft.com/devcontainers/python:3.12', [8000])

The caller reads compose files and the files that they name: call `missing_files` until it returns none.
Importing this package is cheap.
"""

from __future__ import annotations

from wsdash.devfile.lazy import attributes

# Instead of importing typing, which is slow.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from wsdash.devfile.devcontainer.document import DevContainer as DevContainer
    from wsdash.devfile.devcontainer.document import is_devcontainer as is_devcontainer
    from wsdash.devfile.devcontainer.document import load_devcontainer as load_devcontainer
    from wsdash.devfile.devcontainer.translation import missing_files as missing_files
    from wsdash.devfile.devcontainer.translation import translate_devcontainer as translate_devcontainer

_HOMES = {
    "DevContainer": "document",
    "is_devcontainer": "document",
    "load_devcontainer": "document",
    "missing_files": "translation",
    "translate_devcontainer": "translation",
}

__getattr__, __dir__ = attributes(__name__, _HOMES, globals())
