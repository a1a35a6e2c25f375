"""The bytes of an answer: which ones, under which conditions, and how they get to the client (RFC 9110)."""
