"""The conversation with the server: claims, heartbeats, buffered reports, retries and drain."""
