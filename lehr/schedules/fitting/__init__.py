"""Finding the schedule that is nearest to given rates."""
