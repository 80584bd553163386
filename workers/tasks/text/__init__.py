"""Text from files: a small GPT over characters or bytes."""
