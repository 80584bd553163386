"""Tables, curves and progress in the terminal."""
