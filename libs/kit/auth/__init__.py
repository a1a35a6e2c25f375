"""Authentication of callers: tokens, credentials, and the client of the auth service."""
