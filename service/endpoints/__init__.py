"""The REST contract, version 1: each file holds the calls on one kind of thing."""
