"""What workers can train."""
