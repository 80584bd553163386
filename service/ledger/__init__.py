"""The ledger records which worker runs which trial: claims, heartbeats, reports, results, lost leases, study phases."""
