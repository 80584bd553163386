"""The processes of `lehr up` and their data folder."""
