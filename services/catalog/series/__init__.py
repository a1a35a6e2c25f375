"""Series: seasons and episodes."""
