"""Trains one run: a task, a schedule, a seed and a device."""
