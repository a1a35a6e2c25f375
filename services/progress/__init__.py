"""progress: how far a viewer has come. Watch progress and the history made of it."""
