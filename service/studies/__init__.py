"""The commands on studies: validate, create, pause, resume, stop, cancel, delete."""
