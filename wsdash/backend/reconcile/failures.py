"""Runs background work that may fail and is retried: the failure is logged, and the loop continues."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any

from wsdash.backend.errors import WsdashError
from wsdash.backend.store.errors import DatabaseError, StateRemoved
from wsdash.backend.store.lease import LeaseLost
from wsdash.backend.store.mapping import NoSuchWorkspace

log = logging.getLogger(__name__)

_failing: dict[str, str] = {}
"""The last failure of each action that is failing now."""


async def log_failures(doing: str, work: Coroutine[Any, Any, object]) -> bool:
    """Await the work; False when it failed. A full disk must not end a loop; a lost lease must.

    A failure is logged once for as long as it stays the same. Raises `LeaseLost` and `StateRemoved`.
    """
    try:
        await work
    except (LeaseLost, StateRemoved):
        raise
    except NoSuchWorkspace:
        log.info("%s: the workspace was deleted", doing)
    except Exception as error:
        if _failing.get(doing) != repr(error):
            _failing[doing] = repr(error)
            if isinstance(error, DatabaseError | WsdashError):
                log.error("%s: %s", doing, error)
            else:
                log.exception("%s: unexpected", doing)
        return False
    if _failing.pop(doing, None) is not None:
        log.info("%s: succeeded again", doing)
    return True
