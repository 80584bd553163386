"""The families: one file each, with formula, source and doctest."""
