"""Workers: they lease trials from a lehr server over HTTP and train them."""
