"""The contract, with the local provider in every isolation that works on this machine."""

from __future__ import annotations

import pytest

from tests.backend.providers.contract import Harness, ProviderContract


class TestPlain(ProviderContract):
    @pytest.fixture
    def harness(self, plain: Harness) -> Harness:
        return plain


class TestBubblewrap(ProviderContract):
    @pytest.fixture
    def harness(self, sandboxed: Harness) -> Harness:
        return sandboxed


class TestContainer(ProviderContract):
    @pytest.fixture
    def harness(self, contained: Harness) -> Harness:
        return contained
