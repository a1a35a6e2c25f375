"""Resumable uploads: their rows, and their bytes on disk."""
