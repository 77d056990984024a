"""Quantise full VGG weights to 8 bits, and compare the file with the shipped one.

``python -m labutils.extras.packing WEIGHTS``
"""

import argparse
import json
from pathlib import Path

import numpy as np

from labutils import features
from labutils.base import console, files
from labutils.published import vgg

ATTRIBUTION = {
    "authors": "Visual Geometry Group, University of Oxford (Karen Simonyan and Andrew Zisserman)",
    "work": "Very deep convolutional networks for large-scale image recognition, 2014",
    "licence": "Creative Commons Attribution 4.0 (CC BY 4.0), https://creativecommons.org/licenses/by/4.0/",
    "changes": "cut after the last layer named here; kernels rounded to int8, one float32 scale per filter",
    "input": "BGR, mean 103.939, 116.779, 123.68 taken away",
}


def quantise(kernel):
    """Quantise a kernel (3, 3, inputs, filters) to int8 with a float32 scale per filter: kernel ≈ int8 * scale."""
    scale = np.maximum(np.abs(kernel).max(axis=(0, 1, 2)) / 127, np.finfo("float32").tiny).astype("float32")
    return np.round(kernel / scale).astype("int8"), scale


def pack(source, target, until="block4_conv2"):
    """Write ``source``'s layers up to ``until`` as 8-bit ``target`` (.npz), and its card (.json). Return the card.

    Raises ``ValueError`` if ``source`` lacks ``until``, and what ``vgg.read_weights`` raises.
    """
    arrays, target = vgg.read_weights(source), Path(target)
    if until not in arrays:
        raise ValueError(f"{source} has no layer {until}: it has {', '.join(arrays)}.")
    names = list(arrays)[: list(arrays).index(until) + 1]
    packed, errors = {}, {}
    for name in names:
        kernel, bias = arrays[name]
        packed[f"{name}/kernel"], packed[f"{name}/scale"] = quantise(kernel)
        packed[f"{name}/bias"] = bias
        rounded = packed[f"{name}/kernel"] * packed[f"{name}/scale"]
        errors[name] = round(float(np.linalg.norm(rounded - kernel) / np.linalg.norm(kernel)), 5)
    with files.aside(target) as place:
        np.savez_compressed(place, **packed)
    card = {
        "file": target.name,
        "sha256": files.sha256(target),
        "network": vgg.backbone_of(arrays).upper(),
        "layers": names,
        "relative_weight_error": errors,
        **ATTRIBUTION,
    }
    files.write(target.with_suffix(".json"), (json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode())
    return card


def compare(path, shipped):
    """Return the largest difference of two weight files, relative to the second, over their common layers."""
    ours, theirs = vgg.read_weights(path), vgg.read_weights(shipped)
    return max(
        np.linalg.norm(ours[name][0] - theirs[name][0]) / np.linalg.norm(theirs[name][0])
        for name in ours.keys() & theirs.keys()
    )


def main(arguments=None):
    command = argparse.ArgumentParser(prog="python -m labutils.extras.packing", description=__doc__)
    command.add_argument("source", help="full VGG16 or VGG19 weights, .h5 or .npz")
    command.add_argument("--to", help="the file to write (default: pretrained/NETWORK_features_8bit.npz)")
    command.add_argument(
        "--until",
        default="block4_conv2",
        help="the last layer kept (default: %(default)s, the last that lesson 5 uses)",
    )
    options = command.parse_args(arguments)
    try:
        network = vgg.backbone_of(vgg.read_weights(options.source))
        shipped = vgg.PRETRAINED / "vgg16_features_8bit.npz"
        target = Path(options.to or vgg.PRETRAINED / f"{network}_features_8bit.npz")
        if target.suffix != ".npz":
            raise ValueError(f"The file to write must end in .npz: {target}.")
        if target.resolve() == shipped.resolve():
            raise ValueError(f"{target} is the course's own file: give another name with --to.")
        card = pack(options.source, target, options.until)
        print(f"{target}: {network.upper()} to {options.until}, {target.stat().st_size / 1e6:.1f} MB.")
        print(f"Largest relative rounding error of a layer: {max(card['relative_weight_error'].values()):.2%}.")
        if network == "vgg16":
            print(f"Largest relative difference from the shipped file: {compare(target, shipped):.2%}.")
        else:
            with np.load(shipped) as ours, np.load(target) as theirs:
                kinds = [{key.split("/")[1]: file[key].dtype.name for key in file.files} for file in (ours, theirs)]
            same = "the same" if kinds[0] == kinds[1] else f"not the same, {kinds}"
            print(f"The shipped file is VGG16, so their values are not compared; their format is {same}.")
            features.vgg(weights=target)  # prints what it found
    except (OSError, ValueError) as error:
        raise SystemExit(f"{error}") from error


if __name__ == "__main__":
    console.escape()
    main()
