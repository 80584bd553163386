"""The pruners, which stop hopeless trials: one file each, and one line in `lehr/wire/search_methods.py`."""
