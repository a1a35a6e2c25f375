"""Programs that put several services together."""
