"""A package with a task for lehr's workers."""
