"""Helpers of the CycleGAN lab: the code behind five lessons.

Importing this package does not import TensorFlow. Import the module you need, for example
``from labutils import models``.
"""

import os

# TensorFlow's start-up messages would fill the first cell of every lesson. It reads this variable on import.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__version__ = "0.1.0"
