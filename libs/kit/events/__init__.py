"""Events: their envelope, and how they leave and enter a database transaction."""
