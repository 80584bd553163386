"""Diagnoses trainings and studies from their curves and results: pure functions, one file for each kind of finding."""
