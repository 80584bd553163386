"""The database layer: tables, transactions, and the queries that several parts of the server share."""
