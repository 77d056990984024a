"""CycleGAN as a Keras model: four networks, four losses, one training step.

Paper: Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks".
"""

from dataclasses import dataclass, fields

import tensorflow as tf

from labutils import layers, losses, models


@dataclass(frozen=True)
class LossWeights:
    """The weight of each loss of the generators. The defaults are the paper's: 1, 10 and 5 (identity: half of cycle).

    Raises ``ValueError`` for a weight that is not a finite number of 0 or more.
    """

    adversarial: float = 1.0
    cycle: float = 10.0
    identity: float = 5.0

    def __post_init__(self):
        for field in fields(self):
            losses.weight(field.name, getattr(self, field.name))

    def variables(self):
        """Return the weights as ``tf.Variable``s: a change acts at the next step and recompiles nothing."""
        return LossWeights(*(tf.Variable(float(getattr(self, f.name)), name=f.name) for f in fields(self)))


class ImagePool(tf.Module):
    """Keep ``size`` generated pictures; half of the time the discriminator sees one of them, not the new picture.

    Then the discriminator does not forget what the generator made before (Shrivastava et al. 2017). The choice
    depends only on ``seed`` and the step, so a resumed run draws the same pictures. ``size`` 0: no pool.
    """

    def __init__(self, size, image_shape, seed):
        super().__init__()
        self.size, self.seed = size, seed
        self.images = tf.Variable(tf.zeros((size, *image_shape)), trainable=False, name="images")
        self.count = tf.Variable(0, trainable=False, name="count")

    def query(self, images, step):
        """Put ``images`` (batch, height, width, 3) in; return as many, some of them swapped for older ones."""
        if self.size == 0:
            return images
        return tf.stack([self._swap(image, step, number) for number, image in enumerate(tf.unstack(images))])

    def _swap(self, image, step, number):
        seed = tf.random.experimental.stateless_fold_in((self.seed, number), step)
        slot = tf.random.stateless_uniform((), seed, 0, self.size, tf.int32)
        swap = tf.random.stateless_uniform((), seed + 1) < 0.5
        full = self.count >= self.size
        slot = tf.where(full, slot, self.count)
        older = tf.gather(self.images, slot)  # self.images[slot] would copy the whole pool first
        answer = tf.where(full & swap, older, image)
        if_kept = tf.where(full & ~swap, older, image)
        self.images.scatter_nd_update([[slot]], [if_kept])
        self.count.assign(tf.minimum(self.count + 1, self.size))
        return answer


class CycleGAN(tf.keras.Model):
    """Train two generators and two discriminators on unpaired pictures, like any Keras model.

    Example::

        gan = CycleGAN(generator_ab, generator_ba, discriminator_a, discriminator_b)
        gan.compile()
        gan.fit(pipeline.unpaired(root, 64), steps_per_epoch=1000)

    Data: batches ``(real_a, real_b)``, each (batch, height, width, 3) in [-1, 1]; the two need not show one scene.

    generator_ab, generator_ba: pictures to pictures, built for one size unless ``pool_size`` is 0.
    discriminator_a, discriminator_b: pictures to patch scores.
    loss_weights: a ``LossWeights``; default the paper's. ``gan.loss_weights.cycle`` (or another weight) is a variable
        that may be assigned at any time.
    pool_size: how many generated pictures to keep for each discriminator, 0 or more; default 50.
    seed: fixes what the pools draw; default 0.

    Raises ``ValueError`` for a negative ``pool_size``, or for a pool with generators of any size.
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
        # Under mixed_float16 small gradients would round to zero: the loss is scaled up, the gradients down again.
        half = any(layer.compute_dtype == "float16" for layer in generator_ab.layers)
        self.gradient_scale = 4096.0 if half else 1.0
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self.built = True

    def compile(self, generator_optimizer=None, discriminator_optimizer=None, **kwargs):
        """Set an optimizer for each pair of networks, by default Adam(2e-4, beta_1=0.5); see ``Model.compile``."""
        kwargs.setdefault("jit_compile", False)
        super().compile(**kwargs)
        self.generator_optimizer = generator_optimizer or layers.Adam(2e-4, beta_1=0.5)
        self.discriminator_optimizer = discriminator_optimizer or layers.Adam(2e-4, beta_1=0.5)
        # build now: a checkpoint can only be restored into existing slots
        self.generator_optimizer.build(self.generator_variables)
        self.discriminator_optimizer.build(self.discriminator_variables)

    def fit(self, x, **kwargs):
        """Call ``tf.keras.Model.fit`` with ``shuffle=False``: the pipeline shuffles already, and Keras would warn."""
        if isinstance(x, tf.data.Dataset):
            options = tf.data.Options()
            options.autotune.enabled = False  # its thread often misses the shutdown signal, and sleeps up to a minute
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
        """Train the generators by one step, then the discriminators; return the losses by name."""
        real_a, real_b = data  # (batch, height, width, 3), like all translations
        weight = self.loss_weights
        with tf.GradientTape() as tape:
            # Six translations: each picture to the other domain, to its own, and to the other and back.
            fake_b, same_b = self._each(self.generator_ab, real_a, real_b)
            fake_a, same_a = self._each(self.generator_ba, real_b, real_a)
            cycled_a = self.generator_ba(fake_b, training=True)
            cycled_b = self.generator_ab(fake_a, training=True)
            scores_b = self.discriminator_b(fake_b, training=True)  # (batch, rows, columns, 1)
            adversarial_ab = losses.adversarial(scores_b, real=True)
            scores_a = self.discriminator_a(fake_a, training=True)
            adversarial_ba = losses.adversarial(scores_a, real=True)
            cycle_a, cycle_b = losses.cycle(real_a, cycled_a), losses.cycle(real_b, cycled_b)
            identity_a, identity_b = losses.identity(real_a, same_a), losses.identity(real_b, same_b)
            total = weight.adversarial * (adversarial_ab + adversarial_ba) + weight.cycle * (cycle_a + cycle_b)
            total += weight.identity * (identity_a + identity_b)
        self._apply(tape, total, self.generator_variables, self.generator_optimizer)

        shown_a, shown_b = self.pool_a.query(fake_a, self.step), self.pool_b.query(fake_b, self.step)
        with tf.GradientTape() as tape:
            discriminator_a = losses.discriminator(*self._each(self.discriminator_a, real_a, shown_a))
            discriminator_b = losses.discriminator(*self._each(self.discriminator_b, real_b, shown_b))
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
    def _each(network, first, second):
        """Apply ``network`` to both batches: joined to one, which is faster, unless that mixes their statistics."""
        if not models.per_picture(network):
            return network(first, training=True), network(second, training=True)
        return tf.split(network(tf.concat([first, second], axis=0), training=True), 2)

    def _apply(self, tape, loss, variables, optimizer):
        gradients = tape.gradient(loss, variables, output_gradients=tf.constant(self.gradient_scale))
        if self.gradient_scale != 1:
            gradients = [gradient / self.gradient_scale for gradient in gradients]
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
