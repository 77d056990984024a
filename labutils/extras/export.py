"""Export generators for use without this course: as a SavedModel (servers, other languages) or for TFLite (phones)."""

import contextlib
import logging
import os
import statistics
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from labutils import generators
from labutils.base import files


@dataclass(frozen=True)
class Report:
    """Describe an export. ``difference``: the largest deviation from the Keras model on one picture, in [-1, 1]."""

    path: Path
    bytes: int
    milliseconds: float  # per picture, the median of five
    difference: float

    def __str__(self):
        return (
            f"{self.path.name}: {self.bytes / 1e6:.2f} MB, {self.milliseconds:.0f} ms a picture, "
            f"at most {self.difference:.1e} from the Keras model"
        )


def saved_model(generator, path, size=256):
    """Write the folder ``path``, a SavedModel for pictures of any size; returns a ``Report`` for ``size`` pixels.

    Its signature ``serving_default`` takes and returns float32 (batch, height, width, 3) in [-1, 1]; height and width
    must be multiples of the network's downsampling. Raises ``ValueError`` if ``path`` holds anything but a SavedModel.
    """
    path = Path(path)
    if path.is_file() or path.is_dir() and any(path.iterdir()) and not (path / "saved_model.pb").is_file():
        raise ValueError(f"{path} is not a SavedModel: choose another place, or delete it.")
    with files.aside(path) as aside:
        module = tf.Module()
        module.generator, module.translate = _graph(generator, (None, None, None, 3))
        with _quiet():
            tf.saved_model.save(module, str(aside), signatures=module.translate)
        # Load the file just written, never a path that others could write to first.
        serve = tf.saved_model.load(str(aside)).signatures["serving_default"]
        return _compare(generator, path, aside, size, lambda picture: [*serve(tf.constant(picture)).values()][0])


def tflite(generator, path, size):
    """Write the file ``path`` for TFLite (LiteRT), for one picture of ``size`` by ``size``; returns a ``Report``.

    It takes and returns float32 (1, size, size, 3) in [-1, 1] and needs only TFLite's own operations. Raises
    ``ValueError`` if the network does not accept ``size``, ``RuntimeError`` if TensorFlow has no converter.
    """
    if not hasattr(tf, "lite") or not hasattr(tf.lite, "TFLiteConverter"):
        raise RuntimeError(f"TensorFlow {tf.__version__} has no TFLite converter; 2.15 has one.")
    path = Path(path)
    # The converter does not find Keras 3's variables, so convert them to constants first.
    frozen = convert_variables_to_constants_v2(_graph(generator, (1, size, size, 3))[1].get_concrete_function())
    with files.aside(path) as aside:
        with _quiet():
            aside.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert())
            interpreter = tf.lite.Interpreter(str(aside))
            interpreter.allocate_tensors()
        (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()

        def run(picture):
            interpreter.set_tensor(source["index"], picture)
            interpreter.invoke()
            return interpreter.get_tensor(target["index"])

        return _compare(generator, path, aside, size, run)


def _graph(generator, shape):
    """Return the generator for any size, and its graph for pictures of ``shape``."""
    network = generators.any_size(generator)
    specification = [tf.TensorSpec(shape, name="pictures")]
    return network, tf.function(lambda pictures: network(pictures, training=False), input_signature=specification)


def _compare(generator, path, aside, size, run):
    """Report on the temporary export ``aside``, later called ``path``; ``run`` translates one picture with it."""
    picture = np.random.default_rng(0).uniform(-1, 1, (1, size, size, 3)).astype(np.float32)
    expected = np.asarray(generators.any_size(generator)(picture, training=False))
    difference = float(np.abs(np.asarray(run(picture)) - expected).max())
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        run(picture)
        seconds.append(time.perf_counter() - started)
    parts = [aside] if aside.is_file() else [part for part in aside.rglob("*") if part.is_file()]
    total = sum(part.stat().st_size for part in parts)
    return Report(path, total, 1000 * statistics.median(seconds), difference)


@contextlib.contextmanager
def _quiet():
    """Silence the conversion's remarks, which TensorFlow writes directly to file descriptor 2. Errors still raise."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    logging.disable(logging.WARNING)
    try:
        os.dup2(nowhere, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept), os.close(nowhere)
        logging.disable(logging.NOTSET)
