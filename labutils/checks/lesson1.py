"""Checks of lesson 1, the dataset."""
