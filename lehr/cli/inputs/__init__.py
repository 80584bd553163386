"""What users name on the command line: studies, study files and schedule files."""
