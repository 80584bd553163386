"""What crosses the wire: the models of every document that clients, servers and workers exchange."""
