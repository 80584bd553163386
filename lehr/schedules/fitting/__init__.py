"""Finds the schedules that best fit given rates."""
