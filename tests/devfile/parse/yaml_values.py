"""Any value that YAML and JSON have in common."""

from __future__ import annotations

from hypothesis import strategies as st

YAML_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.text("ab: #-{}[]'\"\n*&!|>%@,?\t\u20ac", max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc: *&", max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)
