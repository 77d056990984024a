"""CycleGAN as a Keras model: four networks, four losses, one training step.

Paper: Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks".
"""

import os
import warnings
from dataclasses import dataclass, fields

import tensorflow as tf

from labutils import layers, losses, models


def share_cores():
    """On a machine with two cores, give each direction's networks a core: small pictures train faster.

    Otherwise TensorFlow splits every operation over both cores, and operations on 64 px are so short that the two
    halves mostly wait for each other. With more cores nothing is changed. Call it before TensorFlow's first
    operation; after that, TensorFlow takes no more orders, and a ``UserWarning`` says so.
    """
    threads = tf.config.threading
    if os.cpu_count() != 2 or threads.get_intra_op_parallelism_threads() == 1:
        return
    try:
        threads.set_intra_op_parallelism_threads(1)  # in one operation
        threads.set_inter_op_parallelism_threads(2)  # operations at a time
    except RuntimeError:
        warnings.warn("TensorFlow has begun: restart the kernel to train with a core for each direction.", stacklevel=2)


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts for the generators. The paper's: 1, 10, and 5 (half of cycle) for identity.

    Raises ``ValueError`` for a weight that is no number from 0 up.
    """

    adversarial: float = 1.0
    cycle: float = 10.0
    identity: float = 5.0

    def __post_init__(self):
        for field in fields(self):
            losses.weight(field.name, getattr(self, field.name))

    def variables(self):
        """The same numbers as ``tf.Variable``s: changing one acts on the next step and recompiles nothing."""
        return LossWeights(*(tf.Variable(float(getattr(self, f.name)), name=f.name) for f in fields(self)))


class ImagePool(tf.Module):
    """The last ``size`` generated pictures, of which a discriminator sees an old one half of the time.

    It keeps a discriminator from forgetting what the generator did before (Shrivastava et al. 2017). The choice
    depends on ``seed`` and the step only, so a continued run draws as the unbroken one did. ``size`` 0: no pool.
    """

    def __init__(self, size, image_shape, seed):
        super().__init__()
        self.size, self.seed = size, seed
        self.images = tf.Variable(tf.zeros((size, *image_shape)), trainable=False, name="images")
        self.count = tf.Variable(0, trainable=False, name="count")

    def query(self, images, step):
        """Put (batch, height, width, 3) ``images`` in; get as many back, each itself or an older one swapped for it."""
        if self.size == 0:
            return images
        return tf.stack([self._swap(image, step, number) for number, image in enumerate(tf.unstack(images))])

    def _swap(self, image, step, number):
        seed = tf.random.experimental.stateless_fold_in((self.seed, number), step)
        slot = tf.random.stateless_uniform((), seed, 0, self.size, tf.int32)
        swap = tf.random.stateless_uniform((), seed + 1) < 0.5
        full = self.count >= self.size
        slot = tf.where(full, slot, self.count)
        older = tf.gather(self.images, slot)  # where an index would copy the whole pool first
        answer = tf.where(full & swap, older, image)
        if_kept = tf.where(full & ~swap, older, image)
        self.images.scatter_nd_update([[slot]], [if_kept])
        self.count.assign(tf.minimum(self.count + 1, self.size))
        return answer


class CycleGAN(tf.keras.Model):
    """Two generators and two discriminators that learn from unpaired pictures.

    Train it like any Keras model::

        gan = CycleGAN(generator_ab, generator_ba, discriminator_a, discriminator_b)
        gan.compile()
        gan.fit(pipeline.unpaired(root, 64), steps_per_epoch=1000)

    Data: pairs ``(real_a, real_b)`` (batch, height, width, 3) in [-1, 1]; what stands side by side in a batch need not
    belong together. ``loss_weights``: a ``LossWeights``; ``gan.loss_weights.cycle`` and its neighbours are variables
    that may be assigned at any time. ``pool_size``: generated pictures kept for each discriminator. The networks must
    have been built for one size, unless ``pool_size`` is 0.
    """

    def __init__(
        self,
        generator_ab,
        generator_ba,
        discriminator_a,
        discriminator_b,
        loss_weights=None,
        pool_size=50,
        seed=0,
    ):
        super().__init__()
        self.generator_ab, self.generator_ba = generator_ab, generator_ba
        self.discriminator_a, self.discriminator_b = discriminator_a, discriminator_b
        shape = tuple(generator_ab.output_shape[1:])
        if pool_size and None in shape:
            raise ValueError(
                "A pool needs pictures of one size: build the generators with image_size, or set pool_size=0."
            )
        if pool_size < 0:
            raise ValueError(f"pool_size must be 0 or more, not {pool_size}.")
        self.loss_weights = (loss_weights or LossWeights()).variables()
        self.pool_a = ImagePool(pool_size, shape, seed)
        self.pool_b = ImagePool(pool_size, shape, seed + 1)
        # Under mixed_float16 a pixel's share of a mean would round to zero on its way back: scaled up, and down again.
        half = any(layer.compute_dtype == "float16" for layer in generator_ab.layers)
        self.gradient_scale = 4096.0 if half else 1.0
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self.built = True

    def compile(self, generator_optimizer=None, discriminator_optimizer=None, **kwargs):
        """Adam(2e-4, beta_1=0.5) for each pair of networks unless others are given; see ``tf.keras.Model.compile``."""
        kwargs.setdefault("jit_compile", False)
        super().compile(**kwargs)
        self.generator_optimizer = generator_optimizer or layers.Adam(2e-4, beta_1=0.5)
        self.discriminator_optimizer = discriminator_optimizer or layers.Adam(2e-4, beta_1=0.5)
        # built now, so that a checkpoint has slots to be restored into
        self.generator_optimizer.build(self.generator_variables)
        self.discriminator_optimizer.build(self.discriminator_variables)

    def fit(self, x, **kwargs):
        """``tf.keras.Model.fit``. The pipeline has shuffled already; asked to, Keras would warn that it does not."""
        if isinstance(x, tf.data.Dataset):
            options = tf.data.Options()
            options.autotune.enabled = False  # its thread often misses the end, and sleeps up to a minute more
            x = x.with_options(options)
        return super().fit(x, **{"shuffle": False, **kwargs})

    @property
    def generator_variables(self):
        return self.generator_ab.trainable_variables + self.generator_ba.trainable_variables

    @property
    def discriminator_variables(self):
        return self.discriminator_a.trainable_variables + self.discriminator_b.trainable_variables

    def call(self, real_a, training=False):
        """Translate A to B."""
        return self.generator_ab(real_a, training=training)

    def train_step(self, data):
        """One step of all four networks: the generators against the discriminators, then the other way round."""
        real_a, real_b = data
        weight = self.loss_weights
        with tf.GradientTape() as tape:
            # Six translations in four calls, where a batch of two changes no number (see _both).
            fake_b, same_b = self._both(self.generator_ab, real_a, real_b)
            fake_a, same_a = self._both(self.generator_ba, real_b, real_a)
            cycled_a = self.generator_ba(fake_b, training=True)
            cycled_b = self.generator_ab(fake_a, training=True)
            adversarial_ab = losses.adversarial(self.discriminator_b(fake_b, training=True), real=True)
            adversarial_ba = losses.adversarial(self.discriminator_a(fake_a, training=True), real=True)
            cycle_a, cycle_b = losses.cycle(real_a, cycled_a), losses.cycle(real_b, cycled_b)
            identity_a, identity_b = losses.identity(real_a, same_a), losses.identity(real_b, same_b)
            total = (
                weight.adversarial * (adversarial_ab + adversarial_ba)
                + weight.cycle * (cycle_a + cycle_b)
                + weight.identity * (identity_a + identity_b)
            )
        self._apply(tape, total, self.generator_variables, self.generator_optimizer)

        pooled_a, pooled_b = self.pool_a.query(fake_a, self.step), self.pool_b.query(fake_b, self.step)
        with tf.GradientTape() as tape:
            discriminator_a = losses.discriminator(*self._both(self.discriminator_a, real_a, pooled_a))
            discriminator_b = losses.discriminator(*self._both(self.discriminator_b, real_b, pooled_b))
            both = discriminator_a + discriminator_b
        self._apply(tape, both, self.discriminator_variables, self.discriminator_optimizer)

        self.step.assign_add(1)
        return {
            "generators": total,
            "adversarial_ab": adversarial_ab,
            "adversarial_ba": adversarial_ba,
            "cycle_a": cycle_a,
            "cycle_b": cycle_b,
            "identity_a": identity_a,
            "identity_b": identity_b,
            "discriminator_a": discriminator_a,
            "discriminator_b": discriminator_b,
        }

    @staticmethod
    def _both(network, first, second):
        """``network`` of two kinds of pictures: in one batch, which is faster, unless it mixed their statistics."""
        if not models.per_picture(network):
            return network(first, training=True), network(second, training=True)
        return tf.split(network(tf.concat([first, second], axis=0), training=True), 2)

    def _apply(self, tape, loss, variables, optimizer):
        gradients = tape.gradient(loss, variables, output_gradients=tf.constant(self.gradient_scale))
        if self.gradient_scale != 1:
            gradients = [gradient / self.gradient_scale for gradient in gradients]
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
