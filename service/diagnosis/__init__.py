"""What is wrong with a training or a study, from its curves: pure functions, one fault to a file."""
