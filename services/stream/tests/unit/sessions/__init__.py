"""The sessions of one replica."""
