"""The worker: leases trials from a lehr server over HTTP and trains them."""
