"""The search: chooses the schedules to train next, and stops running trials that are not worth finishing."""
