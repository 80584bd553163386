"""From one training to a larger one: rules that say how the best rate moves. Pure functions."""
