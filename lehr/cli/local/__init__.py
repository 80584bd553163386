"""The processes of `lehr up`, and the folder they work in."""
