"""More than one aim: the best value, and the fewest steps to a target."""
