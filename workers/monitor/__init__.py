"""Shows what a worker does: progress, logs and the live table."""
