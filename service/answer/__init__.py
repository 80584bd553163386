"""From finished trials to the answer: finalists, statistics, verdict, warnings. Pure functions."""
