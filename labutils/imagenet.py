"""What the whole VGG19 takes a picture for, if its full weights lie in Keras' cache: a check that it sees."""

import json

import numpy as np

from labutils.features import cache_folders
from labutils.pictures import as_picture, resize

WEIGHTS = "vgg19_weights_tf_dim_ordering_tf_kernels.h5"  # with the classifier on top, 575 MB
LABELS = "imagenet_class_index.json"


def predict(image, count=3):
    """The ``count`` likeliest of ImageNet's 1,000 classes of a picture, ``[(label, probability)]``.

    ``None`` if the full weights or the labels are not in Keras' cache; nothing is downloaded.
    """
    for folder in cache_folders():
        if (folder / WEIGHTS).is_file() and (folder / LABELS).is_file():
            import tensorflow as tf

            model = tf.keras.applications.VGG19(weights=str(folder / WEIGHTS))
            labels = json.loads((folder / LABELS).read_text(encoding="utf-8"))
            pixels = as_picture(resize(image, (224, 224)))[None]
            scores = model(tf.keras.applications.vgg19.preprocess_input(pixels))[0].numpy()
            return [(labels[str(index)][1], float(scores[index])) for index in np.argsort(-scores)[:count]]
    return None
