"""Style transfer at growing sizes: large forms are found at a small size, where an iteration is cheap."""

import numpy as np

from labutils import features as vgg_features
from labutils.pictures import resize
from labutils.style import StyleTransfer


def run(content, style, sizes, steps, features=None, optimizer="lbfgs", callback=None, **settings):
    """Run style transfer at growing sizes, each started from the result before; return uint8 (height, width, 3).

    The style picture is scaled with the content, so that its strokes keep their share of the picture.

    content, style: pictures (see ``pictures.as_picture``).
    sizes: the shorter sides in pixels; the last is the result's.
    steps: iterations at each size, a number or a list.
    features: the network, from ``features.vgg``; default ``vgg()``.
    optimizer, callback: as for ``StyleTransfer.run``.
    settings: other arguments of ``StyleTransfer``.
    """
    steps = [steps] * len(sizes) if np.isscalar(steps) else steps
    features = vgg_features.vgg() if features is None else features
    start = settings.pop("start", "content")
    for size, count in zip(sizes, steps, strict=True):
        small = resize(content, size)
        if not isinstance(start, str):
            start = resize(start, small.shape[:2])
        factor = size / sizes[-1]
        brush = resize(style, max(16, round(min(np.shape(style)[:2]) * factor)))
        transfer = StyleTransfer(small, brush, features, start=start, **settings)
        start = transfer.run(count, optimizer, callback)
    return start
