"""Forecasts the final loss of trainings by a law fitted to the study, with the law's errors."""
