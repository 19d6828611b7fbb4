"""GitLab's answers as values."""

from __future__ import annotations

from wsdash.backend.providers.gitlab.api.models import Version


def test_versions_are_compared_by_their_numbers() -> None:
    assert Version(version="18.1.0-ee").parts == (18, 1)
    assert Version(version="19.4.1-pre").parts > Version(version="9.5").parts
    assert Version(version="strange").parts == (0, 0)
