"""A launch renders its workload once, however much depends on what comes out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.backend.providers.contract import attempt, workspace
from tests.backend.providers.gitlab.harness import Instance
from wsdash.backend.job import render as job_render
from wsdash.backend.providers.gitlab.ci import config
from wsdash.workload import EnvVar, Workload

SCRIPTS, JOBS, DOCUMENTS = "the shell", "the job", "the document"


@pytest.fixture
def renders(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each part of a configuration was made. A header and a body are a document each."""
    counts: Counter[str] = Counter()

    def count(module: Any, name: str, what: str) -> None:  # noqa: ANN401
        function = getattr(module, name)

        def counted(*args: Any) -> Any:  # noqa: ANN401
            counts[what] += 1
            return function(*args)

        monkeypatch.setattr(module, name, counted)

    count(job_render, "render", SCRIPTS)
    count(config, "_job", JOBS)
    count(config, "yaml_of", DOCUMENTS)
    return counts


@pytest.mark.parametrize(
    "workload, documents",
    [(Workload(image="alpine"), 2), (Workload(env=(EnvVar("VALUE", "$[[ inputs.attempt ]]"),)), 1)],
    ids=["with inputs", "without inputs"],
)
async def test_a_launch_renders_once(
    instance: Instance, renders: Counter[str], workload: Workload, documents: int
) -> None:
    provider = instance.provider()
    for number in (1, 2):
        renders.clear()
        launched = replace(attempt(number), intended_at=instance.clock())
        await provider.launch(workspace(), launched, workload)
        assert renders == {SCRIPTS: 1, JOBS: 1, DOCUMENTS: documents}
    await provider.aclose()


async def test_a_process_that_has_not_looked_yet_renders_once_too(
    instance: Instance, renders: Counter[str]
) -> None:
    provider, other = instance.provider(), instance.provider()
    await provider.launch(workspace(), replace(attempt(), intended_at=instance.clock()), Workload())
    renders.clear()
    await other.launch(workspace(), replace(attempt(2), intended_at=instance.clock()), Workload())
    assert renders == {SCRIPTS: 1, JOBS: 1, DOCUMENTS: 2}
    await provider.aclose()
    await other.aclose()
