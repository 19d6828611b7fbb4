"""The size limits of a document. Real devfiles have some hundred values, nested less than ten deep."""

MAX_BYTES = 3 * 1024 * 1024
"""GitLab's own limit for a devfile."""
MAX_DEPTH = 100
MAX_VALUES = 50_000
"""Keys, items and values together, with aliases expanded."""
MAX_DIAGNOSTICS = 200
MAX_PARENTS = 10
"""Most parents in a chain."""
MAX_STEPS = 1_000
"""Most commands of one event after its composites are expanded."""
MAX_NESTED_COMPOSITES = 20
