"""Titles made by templates from series and highlights."""
