"""Compares lehr's schedules with those of other frameworks, by running them."""
