"""The ledger: who runs what. Claims, beats, reports, finishes, and what becomes of lost workers."""
