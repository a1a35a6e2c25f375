"""Where the bytes of videos lie (tier 4): one port, and an adapter for each kind of place."""
