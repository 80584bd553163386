"""The JSON Schemas that workers offer for their tasks' parameters."""
