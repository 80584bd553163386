"""Saving and restoring trials."""
