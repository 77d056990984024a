"""Lesson 3 without a notebook: ``python -m labutils.train --help``."""
