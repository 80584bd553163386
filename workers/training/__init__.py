"""One training run: task, schedule, seed and device."""
