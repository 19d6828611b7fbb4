"""A pipeline's name carries the last heartbeat. Untrusted when read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.providers.gitlab.ci import pipeline_name
from wsdash.backend.providers.gitlab.ci.pipeline_name import Heartbeat, name_of, parse

ids = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)


beats = st.builds(
    Heartbeat,
    workspace_id=ids,
    attempt_id=ids,
    number=st.integers(1, 10**6),
    generation=st.integers(1, 10**6),
    at=st.integers(0, 10**10),
    state=st.sampled_from(sorted(pipeline_name.STATES)),
    seq=st.integers(0, 10**9),
    facts=st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), ids, max_size=4),
)


@given(beats)
def test_a_pipelines_name_says_what_the_heartbeat_is(beat: Heartbeat) -> None:
    name = name_of(beat)
    assert len(name) <= pipeline_name.LONGEST
    assert parse(name) == beat


@given(st.text() | beats.map(lambda beat: name_of(beat)[:-3] + "\x1b"))
def test_any_other_name_is_no_heartbeat_or_a_sound_one(name: str) -> None:
    beat = parse(name)
    assert beat is None or parse(name_of(beat)) == beat
