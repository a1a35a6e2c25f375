"""Plumbing that all services share. It knows no business: nothing here names a video, a user or a plan."""
