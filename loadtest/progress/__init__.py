"""Measure how many viewers can save their position, beside a bare FastAPI and SQLAlchemy update."""
