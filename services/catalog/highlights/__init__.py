"""Highlights of videos, such as the best hands of a poker game."""
