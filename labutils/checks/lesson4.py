"""Checks of lesson 4."""
