"""What several test files share: a tiny orchard, tiny networks, and a profile that trains in seconds."""

import dataclasses
import signal

import pytest

from labutils import profile

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # so a shell starts what runs in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def smoke():
    """The smoke profile."""
    return profile.load("smoke")


@pytest.fixture(scope="session")
def orchard_root(tmp_path_factory):
    """A rendered orchard of 6 + 6 training pictures and 4 test pairs at 32 px."""
    from labutils.scenes import orchard

    return orchard.write(tmp_path_factory.mktemp("data") / "orchard", train=6, test=4, size=32, seed=3, progress=False)


@pytest.fixture(scope="session")
def tiny(smoke):
    """The smoke profile with smaller networks still, and a checkpoint every 3 steps."""
    return dataclasses.replace(
        smoke,
        generator={"kind": "unet_generator", "filters": 4, "levels": 2},
        discriminator={"kind": "patch_discriminator", "filters": 4, "strides": (2, 2)},
        checkpoint_every=3,
        sample_every=6,
        pool_size=4,
    )


@pytest.fixture
def graphs():
    """A function that counts the graphs in memory, and the gradients that TensorFlow has by name."""
    import gc

    from tensorflow.python.framework import func_graph, ops

    def count():
        gc.collect()
        kept = sum(isinstance(thing, func_graph.FuncGraph) for thing in gc.get_objects())
        return kept, len(ops.gradient_registry.list())

    return count


@pytest.fixture(scope="session")
def make_gan(tiny):
    """A function that builds the same small, uncompiled CycleGAN again and again."""
    import tensorflow as tf

    from labutils import cyclegan, models

    def make(seed=0, normalization="instance", **kwargs):
        tf.keras.utils.set_random_seed(seed)
        parts = (("generator", tiny.generator), ("discriminator", tiny.discriminator))
        lab = dataclasses.replace(tiny, **{name: {**spec, "normalization": normalization} for name, spec in parts})
        return cyclegan.CycleGAN(*models.networks(lab), **{"pool_size": tiny.pool_size, **kwargs})

    return make
