"""Learning-rate range tests: sweeps of the rate, what their curves say, and the bounds that follow."""
