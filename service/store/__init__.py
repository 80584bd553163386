"""The database: tables, transactions, ids, and the order of lists."""
