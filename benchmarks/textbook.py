"""The training loops of the tutorials, written plainly, for comparison with the course's fused step.

Each loop has ``train_step(real_a, real_b)`` for NumPy pictures (batch, height, width, 3) in [-1, 1] and trains the
networks it was given. ``networks`` is (generator_ab, generator_ba, discriminator_a, discriminator_b).
"""

import itertools
import random

import numpy as np
import tensorflow as tf


class _Loop:
    """The part common to both Keras loops: compiled models that each train only some of the four networks."""

    def __init__(self, networks, weights):
        names = ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")
        # the same layers under unique names, which Keras requires within one model
        self.networks = [tf.keras.Model(n.input, n.output, name=name) for name, n in zip(names, networks, strict=True)]
        self.ab, self.ba, self.discriminator_a, self.discriminator_b = self.networks
        self.weights = weights
        self.parts, self.traced = {}, set()
        self.scores = tuple(self.discriminator_a.output_shape[1:])
        for discriminator in self.networks[2:]:
            self._compile(discriminator, [discriminator], loss="mse", loss_weights=[0.5])

    def _freeze_all_but(self, parts):
        for network in self.networks:
            network.trainable = any(network is part for part in parts)

    def _compile(self, model, parts, **arguments):
        """Compile ``model`` to train ``parts`` and nothing else."""
        self._freeze_all_but(parts)
        model.compile(optimizer=tf.keras.optimizers.Adam(2e-4, beta_1=0.5), jit_compile=False, **arguments)
        self.parts[id(model)] = parts

    def _train(self, model, inputs, targets):
        """Call ``train_on_batch``; return the loss, the total first if there are several.

        TensorFlow 2.15 keeps what was trainable when a model was compiled. Keras 3 checks when the model first trains.
        The tutorials have frozen the discriminator for the combined model by then, so it would silently never learn.
        So each model's first batch comes while its own parts are trainable.
        """
        if id(model) not in self.traced:
            self._freeze_all_but(self.parts[id(model)])
            self.traced.add(id(model))
        return model.train_on_batch(inputs, targets)

    def _labels(self, pictures):
        shape = (len(pictures), *self.scores)
        return np.ones(shape, "float32"), np.zeros(shape, "float32")


class CombinedModel(_Loop):
    """One model with six outputs trains both generators: ``predict`` twice, ``train_on_batch`` five times.

    The form of the chapter with a ``CycleGAN`` class; no pool. ``weights``: (adversarial, cycle, identity).
    """

    def __init__(self, networks, weights=(1, 10, 5)):
        super().__init__(networks, weights)
        real_a, real_b = (tf.keras.Input(self.ab.input_shape[1:]) for _ in "ab")
        fake_b, fake_a = self.ab(real_a), self.ba(real_b)
        outputs = [self.discriminator_a(fake_a), self.discriminator_b(fake_b), self.ba(fake_b), self.ab(fake_a)]
        self.combined = tf.keras.Model([real_a, real_b], [*outputs, self.ba(real_a), self.ab(real_b)])
        adversarial, cycle, identity = self.weights
        self._compile(
            self.combined,
            [self.ab, self.ba],
            loss=["mse"] * 2 + ["mae"] * 4,
            loss_weights=[adversarial] * 2 + [cycle] * 2 + [identity] * 2,
        )

    def train_generators(self, real_a, real_b):
        real, _ = self._labels(real_a)
        return self._train(self.combined, [real_a, real_b], [real, real, real_a, real_b, real_a, real_b])

    def train_discriminators(self, real_a, real_b):
        real, fake = self._labels(real_a)
        fake_b, fake_a = self.ab.predict(real_a, verbose=0), self.ba.predict(real_b, verbose=0)
        for discriminator, pictures, fakes in (
            (self.discriminator_a, real_a, fake_a),
            (self.discriminator_b, real_b, fake_b),
        ):
            self._train(discriminator, pictures, real)
            self._train(discriminator, fakes, fake)

    def train_step(self, real_a, real_b):
        self.train_discriminators(real_a, real_b)
        return self.train_generators(real_a, real_b)


class TwoCompositeModels(_Loop):
    """A composite model with four outputs for each generator; it contains the other generator untrained.

    The form of the end-to-end Keras tutorial, with a pool of 50. ``weights``: (adversarial, cycle, identity).
    """

    def __init__(self, networks, weights=(1, 10, 5)):
        super().__init__(networks, weights)
        self.pool_a, self.pool_b = Pool(), Pool()
        self.composite_ab = self._composite(self.ab, self.discriminator_b, self.ba)
        self.composite_ba = self._composite(self.ba, self.discriminator_a, self.ab)

    def _composite(self, generator, discriminator, back):
        source, target = (tf.keras.Input(generator.input_shape[1:]) for _ in "ab")
        fake = generator(source)
        outputs = [discriminator(fake), generator(target), back(fake), generator(back(target))]
        model = tf.keras.Model([source, target], outputs)
        adversarial, cycle, identity = self.weights
        self._compile(
            model, [generator], loss=["mse"] + ["mae"] * 3, loss_weights=[adversarial, identity, cycle, cycle]
        )
        return model

    def train_step(self, real_a, real_b):
        real, fake = self._labels(real_a)
        fake_a = self.pool_a.query(self.ba.predict(real_b, verbose=0))
        fake_b = self.pool_b.query(self.ab.predict(real_a, verbose=0))
        for composite, discriminator, source, target, fakes in (
            (self.composite_ba, self.discriminator_a, real_b, real_a, fake_a),
            (self.composite_ab, self.discriminator_b, real_a, real_b, fake_b),
        ):
            losses = self._train(composite, [source, target], [real, target, source, target])
            self._train(discriminator, target, real)
            self._train(discriminator, fakes, fake)
        return losses


class Pool:
    """Keep the last ``size`` pictures; half of the time return one of them for a new one (NumPy or torch)."""

    def __init__(self, size=50):
        self.size, self.pictures, self.random = size, [], random.Random(0)

    def query(self, picture):
        if len(self.pictures) < self.size:
            self.pictures.append(picture)
        elif self.random.random() < 0.5:
            slot = self.random.randrange(self.size)
            picture, self.pictures[slot] = self.pictures[slot], picture
        return picture


def torch_recipe(size, filters, blocks):
    """Return the paper's recipe in plain PyTorch: a function that trains one step on ``(real_a, real_b)`` in NumPy.

    Raises ``ImportError`` where torch is not installed.
    """
    import torch
    from torch import nn

    def normal(module):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, 0.02)
            nn.init.zeros_(module.bias)

    def unit(*layers, channels):
        return nn.Sequential(*layers, nn.InstanceNorm2d(channels), nn.ReLU())

    def conv7(inputs, outputs):
        return nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(inputs, outputs, 7))

    class Block(nn.Module):
        def __init__(self, channels):
            super().__init__()
            parts = [
                [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)] for _ in "12"
            ]
            self.parts = nn.Sequential(*parts[0], nn.ReLU(), *parts[1])

        def forward(self, x):
            return x + self.parts(x)

    def generator():
        one, two, four = filters, 2 * filters, 4 * filters
        up = {"stride": 2, "padding": 1, "output_padding": 1}
        return nn.Sequential(
            unit(conv7(3, one), channels=one),
            unit(nn.Conv2d(one, two, 3, 2, 1), channels=two),
            unit(nn.Conv2d(two, four, 3, 2, 1), channels=four),
            *(Block(four) for _ in range(blocks)),
            unit(nn.ConvTranspose2d(four, two, 3, **up), channels=two),
            unit(nn.ConvTranspose2d(two, one, 3, **up), channels=one),
            conv7(one, 3),
            nn.Tanh(),
        ).apply(normal)

    def discriminator():
        widths = [filters * min(2**level, 8) for level in range(4)]
        layers = [nn.Conv2d(3, filters, 4, 2, 1), nn.LeakyReLU(0.2)]
        for inputs, outputs, stride in zip(widths, widths[1:], (2, 2, 1), strict=False):
            layers += [nn.Conv2d(inputs, outputs, 4, stride, 1), nn.InstanceNorm2d(outputs), nn.LeakyReLU(0.2)]
        return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1)).apply(normal)

    return _torch_step(torch, generator(), generator(), discriminator(), discriminator())


def _torch_step(torch, ab, ba, discriminator_a, discriminator_b):
    def adam(*networks):
        parameters = itertools.chain(*(network.parameters() for network in networks))
        return torch.optim.Adam(parameters, lr=2e-4, betas=(0.5, 0.999))

    def adversarial(scores, real):
        return torch.nn.functional.mse_loss(scores, torch.ones_like(scores) if real else torch.zeros_like(scores))

    def set_requires_grad(wanted):
        for parameter in itertools.chain(discriminator_a.parameters(), discriminator_b.parameters()):
            parameter.requires_grad = wanted

    generators, discriminators = adam(ab, ba), adam(discriminator_a, discriminator_b)
    absolute, pools = torch.nn.functional.l1_loss, (Pool(), Pool())

    def step(real_a, real_b):
        real_a, real_b = (torch.from_numpy(np.moveaxis(image, -1, 1).copy()) for image in (real_a, real_b))
        fake_b, fake_a = ab(real_a), ba(real_b)
        cycled_a, cycled_b = ba(fake_b), ab(fake_a)
        set_requires_grad(False)
        generators.zero_grad()
        total = adversarial(discriminator_b(fake_b), True) + adversarial(discriminator_a(fake_a), True)
        total = total + 10 * (absolute(cycled_a, real_a) + absolute(cycled_b, real_b))
        total = total + 5 * (absolute(ba(real_a), real_a) + absolute(ab(real_b), real_b))
        total.backward()
        generators.step()
        set_requires_grad(True)
        discriminators.zero_grad()
        for network, real, fake, pool in (
            (discriminator_a, real_a, fake_a, pools[0]),
            (discriminator_b, real_b, fake_b, pools[1]),
        ):
            pooled = pool.query(fake.detach())
            (0.5 * (adversarial(network(real), True) + adversarial(network(pooled), False))).backward()
        discriminators.step()
        return total.item()

    return step
