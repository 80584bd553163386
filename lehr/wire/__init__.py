"""Pydantic models of all documents that clients, servers and workers exchange."""
