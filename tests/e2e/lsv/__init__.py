"""The player of protected films in a real browser."""
