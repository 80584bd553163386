"""What users do to studies: create, validate, check against tasks, pause, resume, stop, cancel and delete."""
