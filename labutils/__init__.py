"""Helpers of the CycleGAN lab: the plumbing behind five lessons.

Importing this package imports nothing heavy; import the module you need, for example
``from labutils import models``.
"""

__version__ = "0.1.0"
