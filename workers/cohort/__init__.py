"""Trains several trials of one task together, as one fused program: a cohort."""
