"""Providers run jobs: `registry.py` makes the one that a context asks for, `base.py` is their contract."""
