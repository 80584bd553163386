"""The REST API, version 1. Each file holds the calls on one kind of resource."""
