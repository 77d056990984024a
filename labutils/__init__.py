"""Helpers of the CycleGAN lab: the plumbing behind five lessons.

Importing this package imports nothing heavy; import the module you need, for example
``from labutils import models``.
"""

import os

# TensorFlow's start-up messages would fill the first cell of every lesson; it reads this when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__version__ = "0.1.0"
