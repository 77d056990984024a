import ast
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from skimage import data
from threadpoolctl import threadpool_info

from labutils import features, pictures, style
from labutils.dashboard.style_run import StyleRun
from labutils.extras import coarse_to_fine, presets
from labutils.scenes import styles

LESSON = Path(__file__).parents[1] / "notebooks" / "sources" / "05_style_transfer.py"
LAYERS = {"block1_conv1": 1.0, "block2_conv1": 2.0}
SMALL = {"layer_weights": LAYERS, "content_layer": "block2_conv2"}


@pytest.fixture(scope="module")
def vgg():
    return features.vgg(weights="packed")


@pytest.fixture(scope="module")
def cat():
    return pictures.resize(data.chelsea(), (40, 56))


@pytest.fixture(scope="module")
def tiles():
    return styles.paint("tiles", 48)


def numpy_gram(maps):
    flat = np.asarray(maps, "float64").reshape(-1, maps.shape[-1])
    return flat.T @ flat / len(flat)


def test_gram_matrix_is_the_mean_product_of_channels():
    maps = np.arange(12, dtype="float32").reshape(1, 2, 2, 3)
    np.testing.assert_allclose(style.gram_matrix(maps), numpy_gram(maps), rtol=1e-6)
    shuffled = maps[:, ::-1, :, :]
    np.testing.assert_allclose(style.gram_matrix(shuffled), style.gram_matrix(maps))  # independent of positions


def test_gram_matrix_has_the_gradient_of_its_formula():
    maps, upstream = tf.random.stateless_normal((1, 4, 6, 5), (1, 2)), tf.random.stateless_normal((5, 5), (3, 4))
    gradients = []
    for gram in (style.gram_matrix, lambda x: tf.einsum("nhwc,nhwd->cd", x, x) / 24):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            value = tf.reduce_sum(gram(maps) * upstream)
        gradients.append(tape.gradient(value, maps))
    np.testing.assert_allclose(*gradients, rtol=1e-5, atol=1e-6)


def test_the_gram_matrix_makes_one_product_there_and_one_back():
    maps, upstream = tf.random.stateless_normal((1, 4, 6, 5), (1, 2)), tf.random.stateless_normal((5, 5), (3, 4))

    @tf.function
    def step(maps):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            gram = style.gram_matrix(maps)
        return gram, tape.gradient(gram, maps, output_gradients=upstream)

    flat = tf.reshape(maps, (24, 5))
    gram, gradient = step(maps)
    np.testing.assert_allclose(gram, tf.matmul(flat, flat, transpose_a=True) / 24, rtol=1e-5, atol=1e-6)
    expected = tf.reshape(flat @ ((upstream + tf.transpose(upstream)) / 24), (1, 4, 6, 5))
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)
    assert [op.type for op in step.get_concrete_function(maps).graph.get_operations()].count("MatMul") == 2


def test_a_transfer_that_is_over_leaves_no_graph_behind(vgg, cat, tiles, graphs):
    def paint(pooling):
        run = StyleRun(cat, tiles, vgg, steps=1, **SMALL)
        run.start()
        run.wait(600)
        run.change(pooling=pooling)
        run.start()
        run.wait(600)
        style.StyleTransfer(cat, tiles, vgg, **SMALL).run(1, optimizer="adam")

    paint("avg")
    before = graphs()
    for pooling in ("avg", "max", "avg"):
        paint(pooling)
    assert graphs() == before


@pytest.fixture(scope="module")
def style_factors():
    """The function of lesson 5 that compares the normalisers of five texts."""
    tree = ast.parse(LESSON.read_text(encoding="utf-8"))
    function = [node for node in tree.body if getattr(node, "name", "") == "style_factors"]
    names = {"tf": tf}
    exec(compile(ast.Module(function, []), str(LESSON), "exec"), names)
    return names["style_factors"]


def test_difference_by_hand():
    target, maps = np.full((1, 1, 2, 1), 2.0, "float32"), np.array([1, 5], "float32").reshape(1, 1, 2, 1)
    assert float(style.difference(maps, target)) == pytest.approx(10 / 8)
    assert float(style.difference(maps, target, 1.0)) == pytest.approx(10)
    assert float(style.difference(maps, 0 * target, 1.0)) == pytest.approx(26)
    assert np.isfinite(style.difference(maps, 0 * target))


def test_style_factors_give_the_texts_own_formulas(style_factors):
    """Each normaliser as its text writes it, from summed Gram matrices of equally large pictures."""
    random = np.random.default_rng(0)
    a, b = random.random((2, 1, 6, 7, 4)).astype("float32")
    n, m, pixels = 4, 42, 4 * 42
    sums = [numpy_gram(x) * m for x in (a, b)]
    squares = ((sums[0] - sums[1]) ** 2).sum()
    expected = {
        "target": squares / (sums[1] ** 2).sum(),
        "gatys": squares / (4 * n**2 * m**2),
        "tensorflow": np.mean((sums[0] / m - sums[1] / m) ** 2),
        "pytorch": np.mean((sums[0] / (n * m) - sums[1] / (n * m)) ** 2),
        "paint": squares / (4 * 3**2 * pixels**2),
    }
    grams = style.gram_matrix(a), style.gram_matrix(b)
    factors = style_factors(grams[1], m, pixels)
    assert factors.keys() == expected.keys()
    for name, factor in factors.items():
        assert float(style.difference(*grams, factor)) == pytest.approx(expected[name], rel=1e-4), name
    assert float(style.difference(*grams)) == pytest.approx(expected["target"], rel=1e-4)


def test_paint_and_gatys_differ_455_fold_at_the_first_layer(style_factors):
    factors = style_factors(np.ones((64, 64), "float32"), positions=100, pixels=100)
    assert factors["paint"] / factors["gatys"] == pytest.approx(455.1, abs=0.1)


def test_total_variation_by_hand():
    image = np.zeros((1, 3, 3, 3), "float32")
    image[0, 1, 1, 0] = 4
    # In channel 0: (0, 1) sees it below, (1, 0) to the right, (1, 1) itself twice: 16 + 16 + 32 over 4 x 3 values.
    assert float(style.total_variation(image)) == pytest.approx(64 / 12 / 255**2)
    assert float(style.total_variation(image, paint=True)) == pytest.approx(2 * 16**1.25 + 32**1.25, rel=1e-5)


def test_the_loss_is_the_weighted_sum_of_its_terms(vgg, cat, tiles):
    transfer = style.StyleTransfer(cat, tiles, vgg, 2, 5, 7, **SMALL, start="style")
    image = np.asarray(pictures.resize(tiles, cat.shape[:2]), "float32")[None]
    maps = {k: np.asarray(v, "float64") for k, v in vgg(image).items() if k in (*LAYERS, "block2_conv2")}
    goal = {k: np.asarray(v, "float64") for k, v in vgg(np.float32(cat)[None]).items()}
    other = vgg(np.float32(tiles)[None])
    content = ((maps["block2_conv2"] - goal["block2_conv2"]) ** 2).sum() / (goal["block2_conv2"] ** 2).sum()
    shares = [
        ((numpy_gram(maps[name]) - numpy_gram(other[name])) ** 2).sum() / (numpy_gram(other[name]) ** 2).sum()
        for name in LAYERS
    ]
    expected = {"content": content, "style": (shares[0] + 2 * shares[1]) / 3}
    expected["variation"] = float(style.total_variation(image))
    expected["total"] = 2 * content + 5 * expected["style"] + 7 * expected["variation"]
    losses = transfer.losses()
    for name, value in expected.items():
        assert losses[name] == pytest.approx(value, rel=1e-4), name


@pytest.mark.parametrize("normaliser", ["target", "paint"])
def test_gradient_agrees_with_finite_differences(vgg, cat, tiles, normaliser):
    transfer = style.StyleTransfer(cat, tiles, vgg, **SMALL, normaliser=normaliser, start="noise")
    gradient, _ = transfer.evaluate(transfer.pixels)
    random = np.random.default_rng(0)
    for _ in range(3):
        direction = random.normal(size=gradient.shape).astype("float32") + np.sign(gradient)
        step = np.float32(0.05)
        ends = [float(transfer.evaluate(transfer.pixels + s * step * direction)[1][0]) for s in (1, -1)]
        slope = float(np.dot(np.float64(gradient), direction))
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize("start", ["content", "noise", "style"])
def test_every_lbfgs_iteration_lowers_the_loss(vgg, cat, tiles, start):
    transfer, totals, shapes = style.StyleTransfer(cat, tiles, vgg, **SMALL, start=start), [], set()
    totals.append(transfer.losses()["total"])

    def watch(step, image, losses):
        totals.append(losses["total"])
        shapes.add((step, image.shape, image.dtype.name))

    result = transfer.run(6, callback=watch)
    assert (np.diff(totals) < 0).all()
    assert shapes == {(step, (40, 56, 3), "uint8") for step in range(1, 7)}
    assert result.shape == cat.shape and result.dtype == np.uint8
    np.testing.assert_array_equal(result, transfer.image)


def test_scipys_threads_do_not_spin_while_tensorflow_works(vgg, cat, tiles):
    def threads():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    run, before, inside = style.StyleTransfer(cat, tiles, vgg, **SMALL), threads(), []
    run.run(2, callback=lambda *_: inside.extend(threads()))
    assert set(inside) == ({1} if before else set())  # none where the system has a library of its own
    assert threads() == before


def test_adam_is_adam(vgg, cat, tiles):
    """The first step of Adam goes by the learning rate against the gradient's sign, within the bounds."""
    transfer = style.StyleTransfer(cat, tiles, vgg, **SMALL)
    before, gradient = transfer.pixels, transfer.evaluate(transfer.pixels)[0].numpy()
    transfer.run(1, "adam", learning_rate=2.0)
    clear = np.abs(gradient) > 1e-6
    expected = np.clip(before - 2 * np.sign(gradient), 0, 255)
    np.testing.assert_allclose(transfer.pixels[clear], expected[clear], atol=0.05)
    start = transfer.losses()["total"]
    transfer.run(15, "adam", learning_rate=2.0)
    assert transfer.losses()["total"] < start


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_weights_are_live_and_nothing_is_retraced(vgg, cat, tiles, optimizer):
    transfer, seen = style.StyleTransfer(cat, tiles, vgg, **SMALL), []

    def watch(step, image, losses):
        seen.append(losses)
        if step == 2:
            transfer.weights.style.assign(30.0)
        if step == 4:
            transfer.weights.layers["block1_conv1"].assign(0.0)

    transfer.run(6, optimizer, watch)
    for step, losses in enumerate(seen, 1):
        # The weight changes after step 2: Adam measures step 3 with the new weight, and L-BFGS restarts step 3 with it.
        weight = 10 if step <= 2 else 30
        total = losses["content"] + weight * losses["style"] + 0.5 * losses["variation"]
        assert losses["total"] == pytest.approx(total, rel=1e-5), step
    assert transfer.evaluate.experimental_get_tracing_count() == 1
    assert transfer.restarts == ([2, 4] if optimizer == "lbfgs" else [])


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_stopping_keeps_the_picture(vgg, cat, tiles, optimizer):
    transfer, steps = style.StyleTransfer(cat, tiles, vgg, **SMALL), []

    def watch(step, image, losses):
        steps.append(image)
        if step == 2:
            raise StopIteration

    result = transfer.run(50, optimizer, watch)
    assert transfer.step == 2
    np.testing.assert_array_equal(result, steps[-1])
    transfer.run(1, optimizer)
    assert transfer.step == 3


def test_two_styles_with_shares(vgg, cat, tiles):
    waves = styles.paint("waves", 32)  # of another size
    both = style.StyleTransfer(cat, [tiles, waves], vgg, **SMALL, style_shares=[1, 3])
    alone = [style.StyleTransfer(cat, one, vgg, **SMALL).losses()["style"] for one in (tiles, waves)]
    assert both.losses()["style"] == pytest.approx(alone[0] / 4 + alone[1] * 3 / 4, rel=1e-4)
    with pytest.raises(ValueError, match="2 style pictures need as many"):
        style.StyleTransfer(cat, [tiles, waves], vgg, style_shares=[1])


def test_one_term_alone_reconstructs(vgg, cat, tiles):
    content = style.StyleTransfer(cat, None, vgg, content_layer="block1_conv2", start="noise", variation_weight=0)
    before = content.losses()["content"]
    content.run(12)
    assert content.losses()["content"] < 0.2 * before and content.losses()["style"] == 0
    texture = style.StyleTransfer(None, tiles, vgg, layer_weights={"block1_conv1": 1})
    before = texture.losses()["style"]
    assert texture.run(12).shape == tiles.shape
    assert texture.losses()["style"] < 0.1 * before and texture.losses()["content"] == 0
    with pytest.raises(ValueError, match="Nothing to optimise"):
        style.StyleTransfer(None, None, vgg)


def test_the_paint_preset_says_what_it_lacks(vgg, cat, tiles):
    with pytest.raises(ValueError, match="block5_conv1, block5_conv2: not in these features.*vgg19"):
        style.StyleTransfer(cat, tiles, vgg, **presets.STYLE["paint"])
    whole = features.vgg("vgg19", "random")
    transfer = style.StyleTransfer(cat, tiles, whole, **presets.STYLE["paint"])
    before = transfer.losses()["total"]
    transfer.run(2)
    assert transfer.losses()["total"] < before


def test_a_preset_is_weighed_and_normalised_as_its_text_has_it(cat, tiles):
    vgg = features.vgg("vgg19", "random")
    transfer = style.StyleTransfer(cat, tiles, vgg, **presets.STYLE["paint"], start="style")
    pixels, painting = cat.shape[0] * cat.shape[1], pictures.resize(tiles, cat.shape[:2])
    here, photo, goal = (vgg(picture[None].astype("float32")) for picture in (painting, cat, tiles))
    content = ((here["block5_conv2"] - photo["block5_conv2"]).numpy() ** 2).sum()
    parts = []
    for block in range(1, 6):
        name = f"block{block}_conv1"
        positions = here[name].shape[1] * here[name].shape[2]
        difference = positions * (numpy_gram(here[name]) - numpy_gram(goal[name]))  # Gram sums, as in its code
        parts.append((difference**2).sum() / (4 * 3**2 * pixels**2))
    image = painting.astype("float64")
    squares = (image[1:, :-1] - image[:-1, :-1]) ** 2 + (image[:-1, 1:] - image[:-1, :-1]) ** 2
    variation = (squares**1.25).sum()
    losses = transfer.losses()
    expected = {"content": content, "style": np.mean(parts), "variation": variation}
    for name, value in expected.items():
        assert losses[name] == pytest.approx(value, rel=1e-3)
    assert losses["total"] == pytest.approx(content + 100 * np.mean(parts) + 20 * variation, rel=1e-3)


def test_nothing_is_computed_behind_the_last_layer_and_all_first_layers_count(vgg, cat, tiles):
    transfer = style.StyleTransfer(cat, tiles, vgg)
    assert list(transfer.weights.layers) == [f"block{block}_conv1" for block in range(1, 5)]
    small = style.StyleTransfer(cat, tiles, vgg, **SMALL)
    assert max(layer.name for layer in small.network.layers if layer.name.startswith("block")) == max(
        SMALL["content_layer"], *SMALL["layer_weights"]
    )


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_pixels_stay_between_black_and_white(vgg, tiles, optimizer):
    chequered = np.where(np.indices((32, 32)).sum(0) // 4 % 2, 255, 0).astype(np.uint8)
    transfer = style.StyleTransfer(chequered, tiles, vgg, **SMALL, content_weight=0)
    transfer.run(6, optimizer, learning_rate=20.0)
    assert transfer.pixels.min() == 0 and transfer.pixels.max() == 255


def test_nearly_black_pictures_stay_so(vgg, tiles):
    dark = np.random.default_rng(0).integers(0, 2, (32, 40, 3)).astype(np.uint8)
    transfer = style.StyleTransfer(dark, tiles, vgg)
    np.testing.assert_array_equal(transfer.image, dark)
    assert transfer.losses()["content"] == 0
    transfer = style.StyleTransfer(tiles[:32, :40], dark, vgg, start="style")
    assert transfer.image.max() <= 1


def test_begin_goes_back_to_the_start(vgg, cat, tiles):
    transfer = style.StyleTransfer(cat, tiles, vgg, **SMALL)
    transfer.run(3)
    transfer.begin()
    assert transfer.step == 0
    np.testing.assert_array_equal(transfer.image, cat)


def test_a_change_of_shares_restarts_lbfgs(vgg, cat, tiles):
    transfer = style.StyleTransfer(cat, [tiles, styles.paint("waves", 32)], vgg, **SMALL)

    def change(step, image, losses):
        transfer.weights.styles[0].assign(float(step > 1))

    transfer.run(4, callback=change)
    assert transfer.restarts == [1, 2]


def test_memory_is_counted_by_hand(vgg, monkeypatch):
    network = features.cut(vgg, ["block1_conv2", "block2_conv1"])
    # block 1: two layers of 64 maps; block 2: one of 128 at half the side; three copies of 4 bytes
    needed = 12 * (64 + 64 + 128 / 4) * 2e6 / 1e9
    monkeypatch.setattr(features, "MEMORY", needed * 1.001)
    features.refuse_unfit(network, (1000, 2000, 3))
    monkeypatch.setattr(features, "MEMORY", needed * 0.999)
    with pytest.raises(ValueError, match=f"1000 x 2000 pixels would take about {needed:.1f} GB"):
        features.refuse_unfit(network, (1000, 2000))


@pytest.mark.parametrize(
    "content",
    [
        np.zeros((32, 48, 3), np.uint8),
        np.full((32, 48, 3), 255, np.uint8),
        np.full((32, 48), 128, np.uint8),
        np.random.default_rng(0).random((16, 16, 3)),
        np.full((20, 24, 4), 200, np.uint8),
    ],
    ids=["black", "white", "grey", "16 px float", "transparent"],
)
def test_unusual_pictures_end_in_a_result(vgg, tiles, content):
    transfer = style.StyleTransfer(content, tiles, vgg)
    before = transfer.losses()["total"]
    result = transfer.run(3)
    assert result.shape == (*content.shape[:2], 3)
    assert transfer.losses()["total"] < before
    style.StyleTransfer(pictures.resize(tiles, 16), content, vgg).run(1)


def test_unfit_pictures_end_in_a_sentence(vgg, cat, tiles):
    broken = cat / 255
    broken[3, 4] = np.nan
    for content, text in (
        (broken, "content picture has values that are not finite"),
        (np.zeros((4, 40, 3), np.uint8), "too small"),
        (np.broadcast_to(np.uint8(0), (6000, 8000, 3)), "would take about .* GB"),
        (np.zeros((5, 5, 5, 5)), "must be an array"),
        (np.zeros((32, 32, 2), np.uint8), "1, 3 or 4 channels"),
        (cat.astype(float) * -1, "values from"),
        (np.array("cat.jpg"), "must be an array"),
    ):
        with pytest.raises(ValueError, match=text):
            style.StyleTransfer(content, tiles, vgg)
    with pytest.raises(ValueError, match="style picture 1 has values"):
        style.StyleTransfer(cat, broken, vgg)
    with pytest.raises(ValueError, match="would take about .* GB"):
        style.StyleTransfer(cat, np.broadcast_to(np.uint8(0), (6000, 8000, 3)), vgg)
    with pytest.raises(ValueError, match="cannot be 224 x 6720000 pixels"):
        pictures.resize(np.zeros((2, 60000, 3), np.uint8), 224)


def test_unknown_names_list_the_choices(vgg, cat, tiles):
    for settings, text in (
        ({"normaliser": "gatys"}, "'target' or 'paint'"),
        ({"start": "black"}, "'content', 'noise'"),
        ({"start": tiles}, "resize it first"),
        ({"style_weight": -1}, "must be a finite number of 0 or more"),
    ):
        with pytest.raises(ValueError, match=text):
            style.StyleTransfer(cat, tiles, vgg, **settings)
    with pytest.raises(ValueError, match="'lbfgs' or 'adam'"):
        style.StyleTransfer(cat, tiles, vgg, **SMALL).run(1, "sgd")


def test_a_loss_that_is_not_finite_stops_and_keeps_the_picture(vgg, cat, tiles):
    transfer = style.StyleTransfer(cat, tiles, vgg, **SMALL)

    def poison(step, image, losses):
        transfer.weights.style.assign(np.nan)

    with pytest.raises(FloatingPointError, match="after step 1"):
        transfer.run(5, callback=poison)
    assert transfer.image.std() > 10


def test_coarse_to_fine_ends_at_the_last_size(vgg, tiles, monkeypatch):
    seen, brushes, transfer = [], [], coarse_to_fine.StyleTransfer

    def watched(content, painting, *rest, **settings):
        brushes.append(len(painting))
        return transfer(content, painting, *rest, **settings)

    monkeypatch.setattr(coarse_to_fine, "StyleTransfer", watched)
    result = coarse_to_fine.run(
        data.chelsea(), tiles, (16, 32), (3, 2), vgg, callback=lambda step, image, losses: seen.append(image.shape)
    )
    assert seen == [(16, 24, 3)] * 3 + [(32, 48, 3)] * 2
    assert brushes == [24, 48]  # of 48 pixels: strokes keep their share of the picture
    assert result.shape == (32, 48, 3)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0.0, 0.5, 1.0]), [0, 127.5, 255]),
        (np.array([0.0, 1e-3, 2e-3]), [0, 0.255, 0.51]),  # dark, and so in the same range as others
        (np.array([-1e-6, 0.5, 1 + 1e-6]), [0, 127.5, 255]),
        (np.array([0, 1, 255], np.uint8), [0, 1, 255]),
        (np.array([0, 1, 1], np.int64), [0, 1, 1]),
        (np.array([0, 257, 65535], np.uint16), [0, 1, 255]),
        (np.array([False, True, True]), [0, 255, 255]),
    ],
)
def test_the_type_of_a_picture_says_its_range(values, expected):
    picture = pictures.as_picture(np.broadcast_to(values, (2, 2, 3)))
    np.testing.assert_allclose(picture, np.broadcast_to(expected, (2, 2, 3)), rtol=1e-6)
    for other in ([0.0, 1, 255], [-1.0, 0, 1], [0, 0, 256]):
        with pytest.raises(ValueError, match=f"values from {min(other):g} to {max(other):g}: use uint8, or floats in"):
            pictures.as_picture(np.broadcast_to(other, (2, 2, 3)))


def test_keeping_colours():
    random = np.random.default_rng(0)
    result, content = random.integers(90, 160, (2, 8, 9, 3)).astype(np.uint8)
    kept = pictures.keep_colours(result, content) @ pictures.YIQ.T
    np.testing.assert_allclose(kept[..., 0], (result @ pictures.YIQ.T)[..., 0], atol=1)
    np.testing.assert_allclose(kept[..., 1:], (content @ pictures.YIQ.T)[..., 1:], atol=1)


def test_matching_colours_gives_mean_and_covariance():
    random = np.random.default_rng(0)
    style_picture = np.clip(random.normal(128, 12, (40, 30, 3)), 0, 255).astype(np.uint8)
    content = np.clip(random.normal(100, 15, (20, 50, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0], [0, 0, 0.6]]), 0, 255)
    matched = pictures.match_colours(style_picture, content.astype(np.uint8)).reshape(-1, 3).astype(float)
    goal = content.astype(np.uint8).reshape(-1, 3).astype(float)
    np.testing.assert_allclose(matched.mean(0), goal.mean(0), atol=1)
    np.testing.assert_allclose(np.cov(matched.T), np.cov(goal.T), rtol=0.1, atol=8)
    black = np.zeros((8, 8, 3), np.uint8)
    np.testing.assert_array_equal(pictures.match_colours(style_picture, black).mean() < 3, True)
