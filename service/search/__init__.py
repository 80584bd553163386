"""The search: which schedule to train next, and which running trial is not worth finishing."""
