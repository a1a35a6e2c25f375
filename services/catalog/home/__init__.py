"""The rows of the home page, and recommendations."""
