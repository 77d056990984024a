"""Compare each loss with values computed by hand."""

import numpy as np
import pytest
import tensorflow as tf

from labutils import losses

SCORES = tf.constant([[1.0, 0.0], [0.5, 2.0]])


def test_adversarial_is_the_mean_squared_distance_from_one_or_zero():
    # (0 + 1 + 0.25 + 1) / 4 and (1 + 0 + 0.25 + 4) / 4
    assert float(losses.adversarial(SCORES, real=True)) == pytest.approx(0.5625)
    assert float(losses.adversarial(SCORES, real=False)) == pytest.approx(1.3125)


def test_discriminator_is_half_the_sum_of_real_at_one_and_fake_at_zero():
    assert float(losses.discriminator(SCORES, tf.zeros((2, 2)))) == pytest.approx(0.28125)
    assert float(losses.discriminator(tf.ones((2, 2)), SCORES)) == pytest.approx(0.65625)


@pytest.mark.parametrize("loss", [losses.cycle, losses.identity])
def test_cycle_and_identity_are_mean_absolute_differences(loss):
    real = tf.constant([[[[0.0, 0.5, -1.0]]]])
    other = tf.constant([[[[0.25, -0.5, -1.0]]]])
    assert float(loss(real, other)) == pytest.approx(1.25 / 3)
    assert float(loss(real, real)) == 0
    gradient_towards = np.sign([0.25, -1.0, 0.0]) / 3
    with tf.GradientTape() as tape:
        tape.watch(other)
        value = loss(real, other)
    np.testing.assert_allclose(tape.gradient(value, other)[0, 0, 0], gradient_towards, atol=1e-6)
