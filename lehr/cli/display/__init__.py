"""Prints tables, curves and progress in the terminal."""
