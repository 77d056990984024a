"""Make the weight files in tests/data and what their networks answer; run once, by hand, in each environment.

The networks are small, have random scales and shifts, and between them every kind of layer that weight files
hold. ``tf2`` files come from TensorFlow 2.15, ``keras3`` files from current TensorFlow.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from labutils import models

DATA = Path(__file__).parent / "data"
NETWORKS = {
    "unet": {"kind": "unet_generator", "image_size": 16, "filters": 4, "levels": 3, "attention": True},
    "resnet": {"kind": "resnet_generator", "image_size": 16, "filters": 2, "blocks": 1},
    "discriminator": {"kind": "patch_discriminator", "image_size": 16, "filters": 4, "strides": [2, 2, 1]},
    "batch": {"kind": "unet_generator", "image_size": 16, "filters": 4, "levels": 2, "normalization": "batch"},
}


def random_weight(rng, shape):
    """Kernels around zero; scales, shifts, biases and statistics positive, as variances must be."""
    return rng.uniform(0.5, 1, shape) if len(shape) == 1 else rng.normal(0, 0.1, shape)


def main():
    made_by = "tf2" if tf.__version__.startswith("2.15") else "keras3"
    DATA.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    arrays = {"input": rng.uniform(-1, 1, (2, 16, 16, 3)).astype("float32")}
    for name, spec in NETWORKS.items():
        network = models.build(spec)
        network.set_weights([random_weight(rng, w.shape) for w in network.get_weights()])
        network.save_weights(DATA / f"{made_by}_{name}.weights.h5")
        arrays[name] = network(arrays["input"]).numpy()
    np.savez_compressed(DATA / f"{made_by}.npz", **arrays)


if __name__ == "__main__":
    main()
