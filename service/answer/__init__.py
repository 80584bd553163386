"""Derives a study's answer from its finished trials: finalists, race, statistics, warnings. Pure functions."""
