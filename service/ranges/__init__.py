"""Learning-rate range tests: sweeps of the rate, their smoothed curves, and the bounds derived from them."""
