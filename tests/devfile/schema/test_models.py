"""Types and limits of single fields."""

from __future__ import annotations

import pytest

from tests.devfile.examples import codes, devfile
from wsdash.devfile import check, load


def test_an_integral_float_is_an_integer_as_in_json_schema() -> None:
    document = load(devfile(container="endpoints: [{name: a, targetPort: 8080.0}]"))
    container = document.devfile.components[0].container
    assert container is not None and container.endpoints[0].target_port == 8080


@pytest.mark.parametrize(("port", "verdict"), [(2**63 - 1, "accept"), (2**63, "reject"), ("1e30", "reject")])
def test_an_integer_has_at_most_64_bits(port: object, verdict: str) -> None:
    text = devfile(container=f"endpoints: [{{name: web, targetPort: {port}}}]")
    assert check(text, profile="library").verdict == verdict


def test_endpoint_names_were_longer_before_2_2_0() -> None:
    text = devfile(container="endpoints: [{name: abcdefghijklmnop, targetPort: 1}]", version="2.1.0")
    assert codes(text) == []
    assert codes(text.replace("abcdefghijklmnop", "a" * 64)) == ["schema.too-long"]
