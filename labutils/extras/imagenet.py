"""Classify a picture with VGG19, if its full weights (575 MB) are in Keras' cache, to check that the network works."""

import json

import numpy as np

from labutils.pictures import as_picture, resize
from labutils.published.vgg import cached

LABELS = "imagenet_class_index.json"


def predict(image, count=3):
    """Return the ``count`` most probable of ImageNet's 1,000 classes for a picture, ``[(label, probability)]``.

    ``None`` if Keras' cache lacks the labels or the complete weights. Nothing is downloaded.
    """
    weights = cached("vgg19 with classifier")
    if weights is None or not weights.with_name(LABELS).is_file():
        return None
    import tensorflow as tf

    model = tf.keras.applications.VGG19(weights=str(weights))
    labels = json.loads(weights.with_name(LABELS).read_text(encoding="utf-8"))
    pixels = as_picture(resize(image, (224, 224)))[None]
    scores = model(tf.keras.applications.vgg19.preprocess_input(pixels))[0].numpy()
    return [(labels[str(index)][1], float(scores[index])) for index in np.argsort(-scores)[:count]]
