"""The process in which trials are trained: apart from the worker that answers for them, which can always end it."""
