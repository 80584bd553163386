"""A worker's progress, logs and live table."""
