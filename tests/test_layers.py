"""Compare the layers with NumPy, with tensorflow-addons if installed, and with values computed by hand."""

import numpy as np
import pytest
import tensorflow as tf

from labutils import layers, models

GENERATOR = {"filters": 4, "levels": 3, "image_size": 16}


def pictures(batch, seed=0, shape=(9, 7, 5)):
    """Channels with means and deviations of their own, so that a wrong axis shows."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(batch, *shape)) * np.arange(1, shape[-1] + 1) + 3).astype("float32")


def by_hand(x, gamma, beta, epsilon):
    mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def set_random(layer, channels=5):
    rng = np.random.default_rng(1)
    gamma, beta = rng.normal(1, 0.3, channels), rng.normal(0, 0.3, channels)
    layer.set_weights([gamma, beta])
    return gamma, beta


def gradients(layer, x, weights):
    """Of a loss that treats every value differently: of the input, gamma and beta."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        target = np.random.default_rng(2).normal(size=y.shape).astype("float32")
        loss = tf.reduce_mean(target * tf.tanh(y))
    return [g.numpy() for g in tape.gradient(loss, [x, *weights])]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])
def test_instance_normalization_equals_numpy(batch, epsilon):
    x, layer = pictures(batch), layers.InstanceNormalization(epsilon=epsilon)
    layer.build(x.shape)
    gamma, beta = set_random(layer)
    np.testing.assert_allclose(layer(x), by_hand(x, gamma, beta, epsilon), atol=1e-5, rtol=1e-5)


def test_a_picture_is_normalized_alike_alone_and_in_a_batch():
    x, layer = pictures(3), layers.InstanceNormalization()
    together = layer(x)
    for number in range(3):
        np.testing.assert_allclose(layer(x[number : number + 1])[0], together[number], atol=1e-5)


def test_gradients_alone_and_in_a_batch_agree():
    x, layer = pictures(1), layers.InstanceNormalization()
    layer.build(x.shape)
    twice = np.concatenate([x, x])
    one = gradients(layer, x, layer.weights)
    two = gradients(lambda pair: layer(pair)[:1], twice, layer.weights)
    np.testing.assert_allclose(one[0][0], two[0][0], atol=1e-6)
    assert np.all(two[0][1] == 0)
    for a, b in zip(one[1:], two[1:], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3])
def test_gradient_equals_finite_differences(batch):
    x, layer = pictures(batch, shape=(3, 4, 2)), layers.InstanceNormalization(epsilon=1e-3)
    layer.build(x.shape)
    target = np.random.default_rng(2).normal(size=x.shape).astype("float32")

    def loss(x):
        return np.mean(target * np.tanh(by_hand(x, *(w.numpy() for w in layer.weights), 1e-3)))

    ours, wide = gradients(layer, x, [])[0], x.astype("float64")
    for index in [(0, 0, 0, 0), (batch - 1, 2, 1, 1), (0, 1, 3, 1)]:
        step = np.zeros_like(wide)
        step[index] = 1e-4
        slope = (loss(wide + step) - loss(wide - step)) / 2e-4
        assert ours[index] == pytest.approx(slope, abs=1e-5)


def test_without_scale_and_shift_nothing_is_learned():
    layer = layers.InstanceNormalization(center=False, scale=False)
    x = pictures(2)
    np.testing.assert_allclose(layer(x), by_hand(x, 1, 0, 1e-5), atol=1e-5)
    assert layer.weights == []
    only_scale = layers.InstanceNormalization(center=False)
    only_scale.build(x.shape)
    assert [tuple(w.shape) for w in only_scale.weights] == [(5,)]


def test_an_even_picture_gives_zeros_not_nan():
    assert np.all(layers.InstanceNormalization()(np.full((1, 4, 4, 2), 7, "float32")) == 0)


def test_epsilon_below_the_kernels_least_is_refused():
    with pytest.raises(ValueError, match="1e-5"):
        layers.InstanceNormalization(epsilon=1e-6)


def test_half_precision_keeps_its_type_and_large_values():
    x = (pictures(1) * 1000).astype("float16")  # whose squares overflow float16
    layer = layers.InstanceNormalization(dtype="mixed_float16")
    y = layer(x)
    assert y.dtype == tf.float16
    gamma = layer.weights[0].numpy()
    np.testing.assert_allclose(y, by_hand(x.astype("float32"), gamma, 0, 1e-5), atol=5e-3)


@pytest.mark.filterwarnings("ignore::UserWarning")  # the warning that tensorflow-addons is at its end of life
class TestAgainstAddons:
    """tensorflow-addons' layer is the reference."""

    @pytest.fixture
    def addons(self):
        return pytest.importorskip("tensorflow_addons", reason="tensorflow-addons exists for TensorFlow 2.15")

    @pytest.mark.parametrize("batch", [1, 3])
    def test_values_and_gradients(self, addons, batch):
        x = pictures(batch)
        ours, theirs = layers.InstanceNormalization(epsilon=1e-3), addons.layers.InstanceNormalization()
        ours.build(x.shape), theirs.build(x.shape)
        theirs.set_weights(list(set_random(ours)))
        assert theirs.epsilon == 1e-3
        np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)
        mine = gradients(ours, x, [ours.gamma, ours.beta])
        for a, b in zip(mine, gradients(theirs, x, [theirs.gamma, theirs.beta]), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)

    def test_a_generator_takes_it(self, addons):
        theirs = models.unet_generator(**GENERATOR, normalization=addons.layers.InstanceNormalization)
        ours = models.unet_generator(**GENERATOR)
        ours.set_weights(theirs.get_weights())
        for layer in ours.layers:
            if isinstance(layer, layers.InstanceNormalization):
                layer.epsilon = 1e-3  # tensorflow-addons' default; ours is the paper's 1e-5
        x = np.tanh(pictures(1, shape=(16, 16, 3)))
        np.testing.assert_allclose(ours(x), theirs(x), atol=1e-5)

    def test_its_generator_is_built_again_from_the_spec(self, addons):
        model = models.unet_generator(**GENERATOR, normalization=addons.layers.InstanceNormalization)
        kinds = [type(layer) for layer in models.build(model.spec).layers]
        assert addons.layers.InstanceNormalization in kinds and layers.InstanceNormalization not in kinds


def operations(function, *shapes):
    """What the graph of ``function`` and the functions it calls compute with."""
    inputs = [tf.TensorSpec(shape) for shape in shapes]
    graph = tf.function(function).get_concrete_function(*inputs).graph.as_graph_def()
    return {node.op for part in (graph.node, *(f.node_def for f in graph.library.function)) for node in part}


class TestConv2D:
    @pytest.mark.parametrize("shape, padding", [((2, 8, 16, 256), "same"), ((1, 18, 6, 256), "valid")])
    def test_a_wide_one_equals_the_convolution_and_its_gradients(self, shape, padding):
        layer, x = layers.Conv2D(260, 3, padding=padding), tf.random.stateless_normal(shape, (1, 2))
        layer.build(shape)
        assert "Conv2D" not in operations(layer, shape)
        values = x, tf.convert_to_tensor(layer.kernel)
        upstream = tf.random.stateless_normal(layer(x).shape, (3, 4))

        def plain(x, kernel):
            return tf.nn.conv2d(x, kernel, 1, padding.upper())

        def ours(x, kernel):
            return layer.convolution_op(x, kernel)

        answers = []
        for function, kind in ((ours, tf.float32), (plain, tf.float64)):
            x, kernel = (tf.cast(value, kind) for value in values)
            with tf.GradientTape() as tape:
                tape.watch([x, kernel])
                y = function(x, kernel)
                loss = tf.reduce_sum(y * tf.cast(upstream, kind))
            answers.append([y, *tape.gradient(loss, [x, kernel])])
        for got, expected in zip(*answers, strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=2e-4 * np.std(expected))

    @pytest.mark.parametrize(
        "shape, options",
        [
            ((1, 8, 8, 255), {}),
            ((1, 8, 8, 256), {"filters": 255}),
            ((1, 8, 8, 256), {"kernel_size": 4}),
            ((1, 8, 8, 256), {"strides": 2}),
            ((1, 8, 8, 256), {"dilation_rate": 2}),
            ((1, 8, 8, 256), {"padding": "valid"}),
            ((1, 10, 8, 256), {}),
            ((1, 8, 132, 256), {}),
            ((1, None, 8, 256), {}),
            ((None, 8, 8, 256), {}),
        ],
    )
    def test_any_other_is_keras_own(self, shape, options):
        options = {"filters": 256, "kernel_size": 3, "padding": "same", **options}
        ours, theirs = layers.Conv2D(**options), tf.keras.layers.Conv2D(**options)
        for layer in (ours, theirs):
            layer.build(shape)
        theirs.set_weights(ours.get_weights())
        assert "Conv2D" in operations(ours, shape)
        x = tf.random.stateless_normal([side or 8 for side in shape], (1, 2))
        if None not in shape:
            np.testing.assert_array_equal(ours(x), theirs(x))

    def test_one_in_half_precision_is_keras_own(self):
        layer = layers.Conv2D(256, 3, padding="same", dtype="mixed_float16")
        layer.build((1, 8, 8, 256))
        assert "Conv2D" in operations(layer, (1, 8, 8, 256))

    def test_in_a_resnet_only_the_blocks_are_wide(self):
        model = models.resnet_generator(16, filters=64, blocks=2)
        convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
        fast = ["Conv2D" not in operations(layer, (1, *layer.input.shape[1:])) for layer in convolutions]
        assert fast == [False, False, False, True, True, True, True, False]


@pytest.mark.parametrize("padding", [1, 3, (1, 2), (0, 2)])
def test_reflection_padding_equals_numpy(padding):
    x = pictures(2)
    layer = layers.ReflectionPadding2D(padding)
    before, after = layer.padding
    expected = np.pad(x, [(0, 0), (before, after), (before, after), (0, 0)], mode="reflect")
    np.testing.assert_array_equal(layer(x), expected)
    assert tuple(layer.compute_output_shape(x.shape)) == expected.shape


def test_attention_blend_by_hand():
    picture = np.array([[[[0.5, -0.5, 0.0]]]], "float32")
    maps = np.array([[[[0.0, 1.0, -1.0, np.log(3)]]]], "float32")  # the sigmoid of log 3 is 3/4
    painted = np.tanh([0.0, 1.0, -1.0])
    expected = 0.25 * picture + 0.75 * painted
    np.testing.assert_allclose(layers.AttentionBlend()([picture, maps]), expected, atol=1e-6)
    closed = maps - np.array([0, 0, 0, 100], "float32")
    np.testing.assert_array_equal(layers.AttentionBlend()([picture, closed]), picture)


def test_size_multiple_lets_multiples_through_only():
    x = np.zeros((1, 8, 12, 3), "float32")
    np.testing.assert_array_equal(layers.SizeMultiple(4)(x), x)
    with pytest.raises(ValueError, match="multiples of 8, not 8 and 12"):
        layers.SizeMultiple(8)(x)


def test_a_graph_with_a_fast_convolution_leaves_when_its_user_does(graphs):
    layer, pictures = layers.Conv2D(256, 3, padding="same"), tf.ones((1, 8, 8, 256))
    layer.build(pictures.shape)

    def use():
        @tf.function
        def step(pictures):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(layer(pictures) ** 2)
            return tape.gradient(loss, layer.trainable_variables)

        step(pictures)

    use()
    before = graphs()
    use(), use()
    assert graphs() == before


@pytest.mark.parametrize(
    "layer",
    [
        layers.InstanceNormalization(epsilon=1e-3, center=False),
        layers.Conv2D(4, 3, strides=2),
        layers.ReflectionPadding2D((1, 2)),
        layers.SizeMultiple(4),
        layers.AttentionBlend(),
    ],
)
def test_configuration_round_trip(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert tf.keras.utils.get_registered_name(type(layer)) == f"labutils>{type(layer).__name__}"


def test_adam_is_keras_adam_with_half_the_graph():
    rate = tf.keras.optimizers.schedules.PolynomialDecay(1e-2, 20, 1e-3)
    x = tf.random.stateless_normal((3, 5), (1, 2))
    ends, sizes = [], []
    for kind in (tf.keras.optimizers.Adam, layers.Adam):
        tf.keras.utils.set_random_seed(0)
        network = tf.keras.Sequential([tf.keras.Input((5,)), tf.keras.layers.Dense(7), tf.keras.layers.Dense(7)])
        optimizer = kind(rate, beta_1=0.5)
        optimizer.build(network.trainable_variables)

        @tf.function
        def step(network=network, optimizer=optimizer):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(network(x) ** 2)
            variables = network.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

        sizes.append(len(step.get_concrete_function().graph.as_graph_def().node))
        for _ in range(15):
            step()
        slots = optimizer.variables() if callable(optimizer.variables) else optimizer.variables
        ends.append([variable.numpy() for variable in [*network.variables, *slots]])
    for ours, theirs in zip(ends[1], ends[0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert sizes[1] < 0.7 * sizes[0]
