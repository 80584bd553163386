"""From rows to the documents of the wire."""
