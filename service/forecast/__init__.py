"""What a training will come to: the law of the schedule, with how far it can be trusted."""
