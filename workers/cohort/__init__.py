"""Cohorts: trials of one task trained together as one fused program."""
