"""Providers run jobs: `registry.py` creates the provider of a context, `base.py` is their contract."""
