"""Transfers the best schedule to another horizon, batch size or width by published rules. Pure functions."""
