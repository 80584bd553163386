"""Builds the documents that the API returns from the database's rows."""
