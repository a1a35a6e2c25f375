"""The stores of original files (tier 4): one port, and an adapter for each kind of store."""
