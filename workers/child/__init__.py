"""The training process, which is separate from the worker, so that the worker can always end it."""
