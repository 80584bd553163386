"""The samplers, which choose what to train next: one file each, and one line in `lehr/wire/search_methods.py`."""
