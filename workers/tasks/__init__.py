"""Tasks: the models and data sets that workers can train."""
