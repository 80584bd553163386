"""The schedule families: one file each, with formula, source and doctest."""
