"""Dev Containers (containers.dev): a `devcontainer.json` to the workload that a job runs, and what is left out.

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

Compose files and what they name are read by the caller: `missing_files` says which, until it says none.
Importing this package costs nothing.
"""

from __future__ import annotations

from wsdash.devfile.lazy import attributes

# As in typing, which is itself not free to import.
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
