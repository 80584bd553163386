"""Reads the inputs of commands: study names, study files and schedule files."""
