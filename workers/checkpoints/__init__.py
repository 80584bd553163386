"""Saves and restores trials."""
