"""Every setting of config.toml counts for what is done next, without a restart."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from wsdash.backend.errors import UserError
from wsdash.backend.providers.provider_pool import ProviderPool
from wsdash.paths import Paths

CONTEXT = '[contexts.work]\nprovider = "gitlab"\nurl = "https://gitlab.example.com"\nproject = "group/app"\n'


@pytest.fixture
async def pool(paths: Paths) -> AsyncIterator[ProviderPool]:
    made = ProviderPool(paths)
    yield made
    await made.aclose()


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSDASH_GITLAB_TOKEN", "glpat-0123456789abcdefghij")


def configure(paths: Paths, text: str) -> None:
    paths.config.mkdir(parents=True, exist_ok=True)
    before = paths.config_file.stat().st_mtime_ns if paths.config_file.exists() else 0
    paths.config_file.write_text(text)
    os.utime(paths.config_file, ns=(before + 1_000_000, before + 1_000_000))


async def test_a_provider_stays_while_nothing_of_it_is_changed(pool: ProviderPool, paths: Paths) -> None:
    configure(paths, CONTEXT)
    first = pool.of("work")
    configure(paths, CONTEXT + "[dashboard]\nmouse = true\n")
    assert pool.of("work") is first


@pytest.mark.parametrize(
    "changed",
    [
        CONTEXT + 'tags = ["gpu"]\n',
        CONTEXT + '[access]\nhost = "203.0.113.7"\n',
        CONTEXT + '[personal]\ncredential_hosts = ["git.example.com"]\n',
    ],
    ids=["the context", "access", "credential hosts"],
)
async def test_a_changed_setting_counts_at_once(pool: ProviderPool, paths: Paths, changed: str) -> None:
    configure(paths, CONTEXT)
    first = pool.of("work")
    configure(paths, changed)
    assert pool.of("work") is not first


async def test_a_file_that_is_being_written_changes_nothing(pool: ProviderPool, paths: Paths) -> None:
    configure(paths, CONTEXT)
    first = pool.of("work")
    configure(paths, "[contexts.work\n")
    assert pool.of("work") is first
    assert pool.of("local").kind == "local"
    with pytest.raises(UserError, match=r"config\.toml"):
        pool.of("other")


async def test_a_context_that_was_removed_is_named(pool: ProviderPool, paths: Paths) -> None:
    configure(paths, CONTEXT)
    pool.of("work")
    configure(paths, "")
    with pytest.raises(UserError, match="there is no context work"):
        pool.of("work")
