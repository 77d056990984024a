"""One training step against a plain, slow reference; the pool; weights changed during training."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from labutils import cyclegan, models
from labutils.datasets import pipeline


def batches(orchard_root, count, batch_size=1):
    return list(pipeline.unpaired(orchard_root, 32, batch_size=batch_size).take(count))


def weights(gan):
    return [variable.numpy() for variable in gan.generator_variables + gan.discriminator_variables]


def adam(variables, gradients, state, rate=2e-4, beta_1=0.5, beta_2=0.999, epsilon=1e-7):
    """Kingma and Ba's algorithm, in NumPy."""
    state["t"] = state.get("t", 0) + 1
    for number, (variable, gradient) in enumerate(zip(variables, gradients, strict=True)):
        gradient = gradient.numpy().astype(np.float64)
        m, v = state.get(number, (0.0, 0.0))
        m, v = beta_1 * m + (1 - beta_1) * gradient, beta_2 * v + (1 - beta_2) * gradient**2
        state[number] = (m, v)
        scale = rate * np.sqrt(1 - beta_2 ** state["t"]) / (1 - beta_1 ** state["t"])
        variable.assign(variable.numpy() - scale * m / (np.sqrt(v) + epsilon))


def reference_step(gan, real_a, real_b, fakes_a, fakes_b, optimizers, update=adam):
    """The paper's step, written out: six separate passes, each loss by its formula, one Adam a network."""
    ab, ba, da, db = gan.generator_ab, gan.generator_ba, gan.discriminator_a, gan.discriminator_b
    with tf.GradientTape(persistent=True) as tape:
        fake_b, fake_a = ab(real_a, training=True), ba(real_b, training=True)
        cycled_a, cycled_b = ba(fake_b, training=True), ab(fake_a, training=True)
        same_a, same_b = ba(real_a, training=True), ab(real_b, training=True)
        total = (
            tf.reduce_mean((db(fake_b, training=True) - 1) ** 2)
            + tf.reduce_mean((da(fake_a, training=True) - 1) ** 2)
            + 10 * (tf.reduce_mean(abs(real_a - cycled_a)) + tf.reduce_mean(abs(real_b - cycled_b)))
            + 5 * (tf.reduce_mean(abs(real_a - same_a)) + tf.reduce_mean(abs(real_b - same_b)))
        )
    generator_gradients = [tape.gradient(total, network.trainable_variables) for network in (ab, ba)]
    del tape
    for network, gradients, optimizer in zip((ab, ba), generator_gradients, optimizers[:2], strict=True):
        update(network.trainable_variables, gradients, optimizer)
    pooled_a, pooled_b = fakes_a(fake_a), fakes_b(fake_b)
    for network, real, fake, optimizer in zip(
        (da, db), (real_a, real_b), (pooled_a, pooled_b), optimizers[2:], strict=True
    ):
        with tf.GradientTape() as tape:
            real_loss = tf.reduce_mean((network(real, training=True) - 1) ** 2)
            loss = 0.5 * (real_loss + tf.reduce_mean(network(fake, training=True) ** 2))
        update(network.trainable_variables, tape.gradient(loss, network.trainable_variables), optimizer)
    return float(total)


NORMALIZATIONS = [*models.NORMALIZATIONS, tf.keras.layers.BatchNormalization, tf.keras.layers.LayerNormalization]


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("batch_size", [1, 2])
def test_one_step_equals_the_plain_reference(make_gan, orchard_root, batch_size, normalization):
    fused, plain = (make_gan(pool_size=0, normalization=normalization) for _ in range(2))
    fused.compile()
    optimizers = [{}, {}, {}, {}]
    for real_a, real_b in batches(orchard_root, 2, batch_size):
        logs = fused.train_step((real_a, real_b))
        total = reference_step(plain, real_a, real_b, lambda x: x, lambda x: x, optimizers)
        assert float(logs["generators"]) == pytest.approx(total, abs=1e-4)
    moments = [state[number][1] for state in optimizers for number in range(len(state) - 1)]
    compared = 0
    for ours, theirs, moment in zip(weights(fused), weights(plain), moments, strict=True):
        # The gradient of a bias before a normalisation is only rounding errors; Adam enlarges them to full steps.
        if np.sqrt(moment.max() / (1 - 0.999**2)) > 1e-4:  # rounding is near 1e-6, the others above 1e-2
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
            compared += 1
    free = normalization in ("none", tf.keras.layers.LayerNormalization)  # the latter normalises over channels
    assert compared == len(moments) - (0 if free else 8)  # there are eight such biases


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_with_plain_gradient_descent_every_weight_is_the_references(make_gan, orchard_root, normalization):
    fused, plain = (make_gan(pool_size=0, normalization=normalization) for _ in range(2))
    fused.compile(tf.keras.optimizers.SGD(1e-3), tf.keras.optimizers.SGD(1e-3))
    ((real_a, real_b),) = batches(orchard_root, 1)
    fused.train_step((real_a, real_b))

    def descend(variables, gradients, _):
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign_sub(1e-3 * gradient)

    reference_step(plain, real_a, real_b, lambda x: x, lambda x: x, [None] * 4, update=descend)
    for ours, theirs in zip(weights(fused), weights(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_plain_compile_and_fit_train_all_four_networks(make_gan, orchard_root):
    gan = make_gan()
    before = weights(gan)
    gan.compile()
    history = gan.fit(pipeline.unpaired(orchard_root, 32), steps_per_epoch=3, epochs=2, verbose=0)
    assert int(gan.step) == 6
    assert all(np.isfinite(values).all() and len(values) == 2 for values in history.history.values())
    moved = [not np.array_equal(b, a) for b, a in zip(before, weights(gan), strict=True)]
    assert all(moved)


def test_fit_ends_when_training_ends(make_gan, orchard_root, monkeypatch):
    """With autotuning, deleting a dataset's iterator may wait for a thread that sleeps: up to a minute after Stop."""
    given = []
    monkeypatch.setattr(tf.keras.Model, "fit", lambda self, x, **kwargs: given.append(x))
    gan = make_gan()
    gan.fit(pipeline.unpaired(orchard_root, 32))
    gan.fit(pair := batches(orchard_root, 1)[0])
    assert given[0].options().autotune.enabled is False
    assert given[1] is pair  # anything but a Dataset is passed on unchanged


def test_a_changed_weight_acts_on_the_next_step_and_retraces_nothing(make_gan, orchard_root):
    traces = []

    class Counted(cyclegan.CycleGAN):
        def train_step(self, data):
            traces.append(1)
            return super().train_step(data)

    base = make_gan(pool_size=0)
    gan = Counted(base.generator_ab, base.generator_ba, base.discriminator_a, base.discriminator_b, pool_size=0)
    gan.compile(tf.keras.optimizers.SGD(0.0), tf.keras.optimizers.SGD(0.0))  # a rate of 0: the losses do not change
    data = tf.data.Dataset.from_tensors(batches(orchard_root, 1)[0]).repeat()
    totals, logs = [], None
    for cycle in (10.0, 10.0, 2.0, 0.0):
        gan.loss_weights.cycle.assign(cycle)
        logs = gan.fit(data, steps_per_epoch=1, verbose=0).history
        totals.append(logs["generators"][0])
    expected = (logs["cycle_a"][0] + logs["cycle_b"][0]) * np.array([10, 10, 2, 0])
    np.testing.assert_allclose(np.array(totals) - totals[-1], expected, atol=1e-4)
    assert len(traces) == 1


def test_each_model_has_loss_weights_of_its_own(make_gan):
    weights = cyclegan.LossWeights(cycle=3)
    first, second = make_gan(loss_weights=weights), make_gan(loss_weights=weights)
    first.loss_weights.cycle.assign(7.0)
    assert float(second.loss_weights.cycle) == 3.0 and weights.cycle == 3


class TestPool:
    def pool(self, size=3):
        return cyclegan.ImagePool(size, (1, 1, 1), seed=5)

    def images(self, *values):
        return tf.reshape(tf.constant(values, tf.float32), (-1, 1, 1, 1))

    def test_first_pictures_fill_it_and_come_back_as_they_are(self):
        pool = self.pool()
        for value in (1.0, 2.0, 3.0):
            assert float(pool.query(self.images(value), tf.constant(int(value), tf.int64))[0, 0, 0, 0]) == value
        assert sorted(pool.images.numpy().ravel()) == [1, 2, 3]

    def test_then_half_of_the_answers_are_older_pictures_which_the_new_one_replaces(self):
        pool, old = self.pool(), 0
        held = set()
        for step in range(400):
            before = set(pool.images.numpy().ravel())
            answer = float(pool.query(self.images(step + 1.0), tf.constant(step, tf.int64))[0, 0, 0, 0])
            after = set(pool.images.numpy().ravel())
            if step < 3:
                continue
            if answer == step + 1:
                assert after == before
            else:
                old += 1
                assert answer in before and after == (before - {answer}) | {step + 1.0}
            held |= after
        assert 160 < old < 240  # 397 fair coins: four standard deviations

    def test_the_draw_is_a_function_of_seed_and_step(self):
        def answers(seed):
            pool = cyclegan.ImagePool(3, (1, 1, 1), seed)
            return [float(pool.query(self.images(s + 1.0), tf.constant(s, tf.int64))[0, 0, 0, 0]) for s in range(40)]

        assert answers(5) == answers(5) != answers(6)

    def test_a_batch_is_drawn_picture_by_picture(self):
        pool = self.pool(2)
        pool.query(self.images(1, 2), tf.constant(0, tf.int64))
        answer = pool.query(self.images(3, 4), tf.constant(1, tf.int64)).numpy().ravel()
        assert sorted([*answer, *pool.images.numpy().ravel()]) == [1, 2, 3, 4]

    def test_none_and_nonsense(self, make_gan):
        image = self.images(9.0)
        assert self.pool(0).query(image, tf.constant(0, tf.int64)) is image
        with pytest.raises(ValueError, match="pool_size"):
            make_gan(pool_size=-1)


def test_half_precision_loses_no_small_gradient(make_gan, orchard_root):
    """Gradients so small that float16 has no number for them come back as float32 has them."""
    ((real_a, real_b),) = batches(orchard_root, 1)
    moved = {}
    for policy in ("float32", "mixed_float16"):
        tf.keras.mixed_precision.set_global_policy(policy)
        try:
            gan = make_gan(pool_size=0, loss_weights=cyclegan.LossWeights(1e-5, 1e-4, 5e-5))
        finally:
            tf.keras.mixed_precision.set_global_policy("float32")
        before = weights(gan)[: len(gan.generator_variables)]
        gan.compile(tf.keras.optimizers.SGD(1.0), tf.keras.optimizers.SGD(1.0))
        gan.train_step((real_a, real_b))
        moved[policy] = np.concatenate([(b - a).ravel() for a, b in zip(before, weights(gan), strict=False)])
    exact, half = moved["float32"], moved["mixed_float16"]
    assert np.linalg.norm(half - exact) < 0.05 * np.linalg.norm(exact)


SHARED = """
import os, warnings
os.cpu_count = lambda: {cores}
import tensorflow as tf
from labutils import models, speed
{before}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    speed.share_cores()
    speed.share_cores()  # the cell is run again
threads = tf.config.threading
tf.constant(1) + 1
print(threads.get_intra_op_parallelism_threads(), threads.get_inter_op_parallelism_threads(), len(caught))
"""


@pytest.mark.parametrize(
    "cores, before, expected",
    [(2, "", [1, 2, 0]), (8, "", [0, 0, 0]), (2, "tf.constant(1) + 1", [0, 0, 2])],
)
def test_on_two_cores_each_direction_gets_one_unless_tensorflow_has_begun(cores, before, expected):
    code = SHARED.format(cores=cores, before=before)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert [int(word) for word in said.split()] == expected
