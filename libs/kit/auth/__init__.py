"""Who is calling: tokens, credentials, and what auth tells other services."""
