"""The networks and loss weights of the tutorials this course draws on.

Each preset: ``image_size`` and ``batch_size``, what ``models.build`` takes for the ``generator`` and the
``discriminator`` (without the size), and the ``loss_weights``.

- ``end-to-end``: the end-to-end tutorial (horses and zebras). Its residual blocks concatenate; the paper's add.
  Its discriminator sees 142 pixels; its text says 70.
- ``end-to-end-128``: the smaller network that it suggests, with 6 blocks.
- ``object-oriented``: the chapter with a ``CycleGAN`` class (apples and oranges); activates before it
  normalises.
- ``paint-apples``, ``paint-monet``: the "Paint" chapter; normalises without scale and shift.
- ``introduction``: the settings of the paper, which the introduction recommends; ``introduction-128`` with 6
  blocks.

``STYLE`` has the arguments of ``style.StyleTransfer`` in their lessons on style transfer.
"""

PAPER = {
    "image_size": 256,
    "batch_size": 1,
    "generator": {"kind": "resnet_generator", "filters": 64, "blocks": 9},
    "discriminator": {"kind": "patch_discriminator", "filters": 64, "strides": [2, 2, 2, 1]},
    "loss_weights": {"adversarial": 1, "cycle": 10, "identity": 5},
}

END_TO_END = {
    **PAPER,
    "generator": {
        **PAPER["generator"],
        "padding": "zero",
        "skip": "concatenate",
        "output_normalization": True,
    },
    "discriminator": {**PAPER["discriminator"], "strides": [2, 2, 2, 2, 1]},
}

PAINT_UNET = {"kind": "unet_generator", "filters": 32, "normalization": "plain_instance", "leaky": False}
PAINT_RESNET = {**PAPER["generator"], "filters": 32, "normalization": "plain_instance"}
PAINT_DISCRIMINATOR = {**PAPER["discriminator"], "normalization": "plain_instance"}

PRESETS = {
    "end-to-end": END_TO_END,
    "end-to-end-128": {
        **END_TO_END,
        "image_size": 128,
        "generator": {**END_TO_END["generator"], "blocks": 6},
    },
    "object-oriented": {
        "image_size": 128,
        "batch_size": 64,
        "generator": {"kind": "unet_generator", "filters": 32, "activation_first": True},
        "discriminator": {
            "kind": "patch_discriminator",
            "filters": 64,
            "strides": [2, 2, 2, 2],
            "activation_first": True,
        },
        "loss_weights": {"adversarial": 1, "cycle": 10, "identity": 9},
    },
    "paint-apples": {
        "image_size": 128,
        "batch_size": 1,
        "generator": PAINT_UNET,
        "discriminator": {**PAINT_DISCRIMINATOR, "filters": 32},
        "loss_weights": {"adversarial": 1, "cycle": 10, "identity": 2},
    },
    "paint-monet": {**PAPER, "generator": PAINT_RESNET, "discriminator": PAINT_DISCRIMINATOR},
    "introduction": PAPER,
    "introduction-128": {**PAPER, "image_size": 128, "generator": {**PAPER["generator"], "blocks": 6}},
}

STYLE = {
    # The "Paint" chapter: VGG19, with the normaliser and the weights of its code.
    "paint": {
        "content_layer": "block5_conv2",
        "layer_weights": {f"block{block}_conv1": 1.0 for block in range(1, 6)},
        "normaliser": "paint",
        "content_weight": 1.0,
        "style_weight": 100.0,
        "variation_weight": 20.0,
    },
}
