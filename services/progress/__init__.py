"""progress: watch progress, history, views and points."""
