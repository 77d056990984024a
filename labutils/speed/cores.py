"""One core for each direction of a CycleGAN."""

import os
import warnings

import tensorflow as tf


def share_cores():
    """Give each direction's networks a core on a machine with two cores: small pictures train faster.

    By default TensorFlow splits every operation over both cores. Operations on 64 px are so short that the two
    halves mostly wait for each other. With another number of cores nothing changes. Call it before TensorFlow's
    first operation: later the setting is ignored, with a ``UserWarning``.
    """
    threads = tf.config.threading
    if os.cpu_count() != 2 or threads.get_intra_op_parallelism_threads() == 1:
        return
    try:
        threads.set_intra_op_parallelism_threads(1)  # threads in one operation
        threads.set_inter_op_parallelism_threads(2)  # operations at the same time
    except RuntimeError:
        text = "TensorFlow is already in use: restart the kernel to train with one core for each direction."
        warnings.warn(text, stacklevel=2)
