"""What users want to watch later."""
