# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lesson 2: generators and discriminators
#
# A CycleGAN has four networks of two kinds. A **generator** takes a picture and gives back a picture of the same size.
# A **discriminator** takes a picture and says, patch by patch, how real it looks. This lesson builds both kinds from
# single layers, and compares the two generators that are in use: the U-Net and the ResNet.
#
# **What you will be able to do**
#
# - build a U-Net, a ResNet and a PatchGAN, and say what each layer does to the shape of a picture;
# - explain the difference between concatenation and addition, and choose between two ways to enlarge a picture;
# - compute the four usual normalisations by hand, and say why CycleGAN uses instance normalisation;
# - work out how many pixels one score of a discriminator sees;
# - compare two networks fairly: parameters, arithmetic, memory, time and result.
#
# **Before you start:** lesson 1 (pictures in [-1, 1], the orchard). **Time:** 60 minutes.
#
# Every network below gets the same picture to work on: apples from the orchard, scaled to [-1, 1], as a batch of one.

# %%
import time

import numpy as np
from IPython.display import display

from labutils import models, profile
from labutils.checks import check
from labutils.extras import presets
from labutils.figures import diagrams, plots
from labutils.scenes import orchard

lab = profile.load()
print(f"Profile {lab.name}: {lab.cost}.")
apples = orchard.render_pair(seed=7, size=lab.size).a
real_a = apples[None] * 2 - 1
print(f"shape {real_a.shape}, values from {real_a.min():.2f} to {real_a.max():.2f}")

# %% [markdown]
# The four numbers of the shape are always in this order: pictures, height, width, channels.
#
# ## The U-Net
#
# ### Down: smaller pictures, more channels
#
# To turn an apple into an orange, a network must know that it looks at an apple. One pixel does not show that; a
# wide region does. So the U-Net halves the picture several times: each time, one value depends on a region twice as
# wide. One step down is a convolution with `strides=2`, a normalisation (explained below) and an activation. We
# repeat it four times, with twice as many filters each time, and print the shape.

# %%
import tensorflow as tf

from labutils.layers import InstanceNormalization


def down(x, filters):
    x = tf.keras.layers.Conv2D(filters, 4, strides=2, padding="same")(x)
    x = InstanceNormalization()(x)
    return tf.keras.layers.LeakyReLU(0.2)(x)


filters = lab.generator["filters"]
picture = tf.keras.Input((lab.size, lab.size, 3))
details, x = [], picture
for level in range(4):
    x = down(x, filters * 2**level)
    details.append(x)
    print(f"down {level + 1}: {x.shape[1]} × {x.shape[2]} × {x.shape[3]}")
print(f"The picture has {lab.size**2 * 3} numbers, the bottom has {np.prod(x.shape[1:])}.")

# %% [markdown]
# Height and width halve and the channels double, so each step keeps half as many numbers as the one before. (Only
# the first step differs: it goes from three channels to many.) The bottom has fewer numbers than the picture. It can
# hold *what* is in the picture, but not where every edge is.
#
# ### Up: and the details handed across
#
# The way up repeats each pixel (`UpSampling2D`), which doubles height and width, and then convolves. Then it takes
# the channels that the way down had at this size, and puts them beside its own. This **skip connection** by
# **concatenation** brings back the edges. At the full size, a last convolution makes three channels, and `tanh`
# keeps them in [-1, 1].


# %%
def up(x, detail, filters):
    x = tf.keras.layers.UpSampling2D()(x)
    x = tf.keras.layers.Conv2D(filters, 4, padding="same")(x)
    x = tf.keras.layers.ReLU()(InstanceNormalization()(x))
    return tf.keras.layers.Concatenate()([x, detail])


for level in (2, 1, 0):
    x = up(x, details[level], filters * 2**level)
    print(f"up to {x.shape[1]} × {x.shape[2]}: {x.shape[3]} channels, half of them from the skip")
x = tf.keras.layers.UpSampling2D()(x)
painted = tf.keras.layers.Conv2D(3, 4, padding="same", activation="tanh")(x)
my_unet = tf.keras.Model(picture, painted)
print(f"out: {my_unet.output_shape[1:]}, {my_unet.count_params():,} parameters")

# %% [markdown]
# `labutils.models.unet_generator` builds the same network. The cell checks this: both have the same number of
# parameters, and with the same weights both make the same picture. Then it draws the network. Each box is the output
# of one convolution, as high as its picture. The number above a box is its channels.

# %%
unet = models.unet_generator(lab.size, filters=filters)
assert unet.count_params() == my_unet.count_params()
unet.set_weights(my_unet.get_weights())
np.testing.assert_allclose(unet(real_a), my_unet(real_a), atol=1e-5)
diagrams.network(unet, "U-Net")

# %% [markdown]
# There was no error, so both are equal. The drawing shows why it is called U-Net. A U lies on its side: down on the
# left, up on the right, and three skips across.
#
# ## The ResNet
#
# ### A block that adds a correction
#
# The authors of CycleGAN used another generator. It halves the picture only twice, then come blocks that keep the
# size:
#
# - Each block computes a correction `y` and **adds** it to its input: `x + y`.
# - Its convolutions continue the picture beyond the border with a mirror image (`ReflectionPadding2D`, explained
#   below).
# - There is no activation after the addition, so a correction may lower a value as well as raise it.
#
# How large is the correction of a new block? What happens when its last scale (gamma) is zero?

# %%
from labutils.layers import ReflectionPadding2D


def same_size(x, filters, kernel):
    x = ReflectionPadding2D(kernel // 2)(x)
    return InstanceNormalization()(tf.keras.layers.Conv2D(filters, kernel)(x))


def residual_block(x):
    y = tf.keras.layers.ReLU()(same_size(x, x.shape[-1], 3))
    y = same_size(y, x.shape[-1], 3)
    return tf.keras.layers.Add()([x, y])


maps = tf.keras.Input((16, 16, 8))
block = tf.keras.Model(maps, residual_block(maps))
some_maps = tf.random.normal((1, 16, 16, 8))
deviation, correction = np.std(some_maps), np.std(block(some_maps) - some_maps)
print(f"standard deviation of the input {deviation:.2f}, of the correction {correction:.2f}")
gamma = [weight for weight in block.weights if "gamma" in weight.name][-1]
gamma.assign(tf.zeros_like(gamma))
np.testing.assert_allclose(block(some_maps), some_maps, atol=1e-6)

# %% [markdown]
# A new block's correction is about as large as its input. With gamma at zero, the input passes through unchanged. So
# a block can easily learn to do little, and many blocks can be stacked. A generator must keep most of a picture, and
# such blocks make that easy.
#
# ### Six or nine of them
#
# The whole ResNet is a convolution with kernel 7, two steps down, the blocks, two steps up, and a convolution with
# kernel 7. A step up is a *transposed* convolution. The paper takes 6 blocks for pictures of 128 pixels and 9 for
# 256.


# %%
def my_resnet(blocks, size=lab.size, filters=filters):
    relu, conv = tf.keras.layers.ReLU(), {"strides": 2, "padding": "same"}
    x = picture = tf.keras.Input((size, size, 3))
    x = relu(same_size(x, filters, 7))
    for wider in (2, 4):
        x = tf.keras.layers.Conv2D(filters * wider, 3, **conv)(x)
        x = relu(InstanceNormalization()(x))
    for _ in range(blocks):
        x = residual_block(x)
    for wider in (2, 1):
        x = tf.keras.layers.Conv2DTranspose(filters * wider, 3, **conv)(x)
        x = relu(InstanceNormalization()(x))
    x = tf.keras.layers.Conv2D(3, 7, activation="tanh")(ReflectionPadding2D(3)(x))
    return tf.keras.Model(picture, x)


# %% [markdown]
# The cell makes the same two checks with 6 and with 9 blocks, and draws both networks.

# %%
for blocks in (6, 9):
    mine, resnet = my_resnet(blocks), models.resnet_generator(lab.size, filters=filters, blocks=blocks)
    assert mine.count_params() == resnet.count_params()
    resnet.set_weights(mine.get_weights())
    np.testing.assert_allclose(resnet(real_a), mine(real_a), atol=1e-5)
    display(diagrams.network(resnet, f"ResNet, {blocks} blocks: {resnet.count_params():,} parameters"))

# %% [markdown]
# Both agree; the 9-block network only has a longer middle. Each dashed arc is an addition across two convolutions.
# The picture never becomes smaller than a quarter of its side. So positions are not lost, and no long skips are
# needed.
#
# ### Adding against concatenating
#
# A well-known tutorial writes its residual blocks with `Concatenate` instead of `Add`. It works, but it is another
# network: each block puts its output beside everything before it, and corrects nothing. We count the input channels
# of each of nine blocks.

# %%
for skip in ("add", "concatenate"):
    model = models.resnet_generator(lab.size, filters=filters, blocks=9, skip=skip)
    convolutions = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"]
    into_blocks = [layer.kernel.shape[2] for layer in convolutions[3:-1:2]]
    print(f"{skip}: {into_blocks} channels, {model.count_params():,} parameters")
    assert into_blocks == [4 * filters * (1 if skip == "add" else n) for n in range(1, 10)]

# %% [markdown]
# With addition, every block gets the same number of channels. With concatenation, the ninth gets nine times as many
# as the first, and the network has several times the parameters.
#
# ## Twice the size: two ways
#
# The U-Net above repeats pixels and then convolves. The paper's ResNet uses a **transposed convolution**: it spreads
# each small pixel over several large ones, weighted by its kernel. Where the copies overlap, they add up. To see how
# often each pixel is painted, we enlarge a picture of ones with a kernel of ones. Then we enlarge an orchard picture
# with a kernel of random weights.


# %%
def enlarge(way, pictures, kernel, initializer="ones"):
    options = {"padding": "same", "use_bias": False, "kernel_initializer": initializer}
    if way == "transposed":
        return tf.keras.layers.Conv2DTranspose(1, kernel, strides=2, **options)(pictures).numpy()
    return tf.keras.layers.Conv2D(1, kernel, **options)(tf.keras.layers.UpSampling2D()(pictures)).numpy()


for way in ("transposed", "nearest"):
    print(way, *enlarge(way, tf.ones((1, 6, 6, 1)), kernel=3)[0, 4:8, 4:8, 0].astype(int), sep="\n")

grey = tf.image.rgb_to_grayscale(orchard.render_pair(seed=7, size=32).a[None])
random_kernel = tf.keras.initializers.RandomUniform(0, 0.25, seed=4)
ways = ["transposed", "nearest"]
enlarged = [enlarge(way, grey, 3, random_kernel)[0, :, :, 0] for way in ways]
enlarged = [image / image.max() for image in enlarged]
plots.grid([enlarged], column_titles=ways, scale=3.2, alt="A transposed convolution leaves a grid, repeating does not")

# %% [markdown]
# - **Transposed:** some pixels are painted once, some twice, some four times. This is a **checkerboard**; in the
#   left picture it is a grid over the fruit. Training can remove it but often leaves a trace, as in many published
#   results.
# - **Nearest:** every pixel is painted nine times. The right picture has no grid, only a blur that training removes
#   more easily. (The next section explains its dark frame.)
#
# ## Beyond the border
#
# Near the border, a convolution needs pixels from outside the picture. Zero padding uses zeros, which are mid-grey
# in our range. Reflection padding uses a mirror image, as `np.pad` does with `mode="reflect"`. We average over 7 × 7
# pixels, three times, with each padding.

# %%
square = np.arange(9.0).reshape(3, 3)
mirrored = ReflectionPadding2D(2)(square[None, :, :, None])[0, :, :, 0]
np.testing.assert_array_equal(mirrored, np.pad(square, 2, mode="reflect"))


def blurred(images, padding):
    kernel = tf.ones((7, 7, 3, 1)) / 49
    for _ in range(3):
        if padding == "reflect":
            images = ReflectionPadding2D(3)(images)
        same = "VALID" if padding == "reflect" else "SAME"
        images = tf.nn.depthwise_conv2d(images, kernel, [1, 1, 1, 1], same)
    return images.numpy()


orange = np.full((1, 32, 32, 3), [0.9, 0.2, -0.8], "float32")
assert np.allclose(blurred(orange, "reflect"), orange, atol=1e-5)
rows = [[(blurred(x, p)[0] + 1) / 2 for p in ("zero", "reflect")] for x in (orange, real_a)]
plots.grid(rows, ["plain", "apples"], ["zero", "reflect"], scale=2.4, alt="Only zero padding greys the border")

# %% [markdown]
# Zero padding draws a grey frame around a plain colour, and the frame grows inwards with every layer. Reflection
# padding leaves the colour unchanged, as the cell asserts.
#
# ## Normalisation: which numbers share a mean
#
# A normalisation subtracts a mean and divides by a standard deviation. The next layer then always gets values of
# about the same size. The four kinds differ in **which values share one mean**. In the drawing each cell is one
# channel of one picture. Cells with the same number are normalised together.

# %%
diagrams.normalization_axes()

# %% [markdown]
# In NumPy the four differ by one argument: the axes over which mean and variance are taken. Group normalisation
# first splits the channels into two groups.

# %%
rng = np.random.default_rng(0)
values = rng.normal(size=(3, 8, 8, 4)) + 3 * rng.normal(size=(3, 1, 1, 4))
values = values.astype("float32")  # 3 pictures, 8 × 8 pixels, 4 channels


def normalise(x, axes, epsilon=1e-3):
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


by_hand = {
    "batch": normalise(values, axes=(0, 1, 2)),
    "layer": normalise(values, axes=(1, 2, 3)),
    "instance": normalise(values, axes=(1, 2)),
    "group": normalise(values.reshape(3, 8, 8, 2, 2), axes=(1, 2, 4)).reshape(values.shape),
}

# %% [markdown]
# Keras has three of the four as layers. The fourth, instance normalisation, is in tensorflow-addons. That package is
# no longer developed and warns about it; we silence the warning. Where it is not installed, we take the course's own
# layer, which is equal. (`training=True` makes batch normalisation use the current batch.)

# %%
import warnings

warnings.filterwarnings("ignore", category=UserWarning, module="tensorflow_addons")
try:
    from tensorflow_addons.layers import InstanceNormalization as Instance
except ImportError:
    from labutils.layers import InstanceNormalization as Instance

normalisations = {
    "batch": tf.keras.layers.BatchNormalization(),
    "layer": tf.keras.layers.LayerNormalization(axis=(1, 2, 3)),
    "instance": Instance(epsilon=1e-3, center=False, scale=False),
    "group": tf.keras.layers.GroupNormalization(groups=2),
}
for name, layer in normalisations.items():
    difference = np.abs(layer(values, training=True) - by_hand[name]).max()
    print(f"{name:>8}: largest difference {difference:.0e}")
    assert difference < 1e-5
ours = InstanceNormalization(epsilon=1e-3, center=False, scale=False)
np.testing.assert_allclose(ours(values), by_hand["instance"], atol=1e-5)
assert models.unet_generator(lab.size, filters, normalization=Instance).count_params() == unet.count_params()

# %% [markdown]
# All are equal within 1e-5, the course's own layer as well. The last line shows that the generators accept any
# normalisation layer.
#
# ### Why instance normalisation, and why one picture a batch
#
# Does a picture depend on the others in its batch? We make the *second* picture brighter and measure the change in
# the *first*. Then we normalise one picture alone, first as in training, then as in use. In use, batch normalisation
# takes its running averages.

# %%
brighter = values.copy()
brighter[1] += 5
for name, layer in normalisations.items():
    change = np.abs(layer(brighter, training=True)[0] - layer(values, training=True)[0]).max()
    print(f"{name:>8}: the first picture changes by {change:.2f}")

one = values[:1]
np.testing.assert_allclose(normalisations["batch"](one, training=True), normalisations["instance"](one), atol=1e-5)
after_training = normalisations["batch"](one, training=False)
difference = np.abs(after_training - by_hand["instance"][:1]).max()
print(f"batch normalisation: values in use and in training differ by up to {difference:.2f}")

# %% [markdown]
# - **Batch normalisation** is the only one that lets one picture change another. In a translation that is a fault:
#   an orange must not depend on other pictures. With **one picture a batch** it equals instance normalisation in
#   training (the cell asserts it to 1e-5), but not in use.
# - **Instance normalisation** does the same in training and in use, for any batch. It removes the brightness and
#   contrast of each channel, which belong to the style of a picture.
#
# CycleGAN therefore uses instance normalisation, and trains with one picture a batch.
#
# ## The PatchGAN
#
# The discriminator does not judge the whole picture. It judges texture, patch by patch, and returns a *grid* of
# scores. A score is near 1 where a patch looks real, and near 0 where it looks generated.


# %%
def my_discriminator(size, filters=64, strides=(2, 2, 2, 1)):
    x = picture = tf.keras.Input((size, size, 3))
    for level, stride in enumerate(strides):
        x = tf.keras.layers.Conv2D(min(filters * 2**level, 512), 4, strides=stride, padding="same")(x)
        x = InstanceNormalization()(x) if level else x  # the first layer has none
        x = tf.keras.layers.LeakyReLU(0.2)(x)
    return tf.keras.Model(picture, tf.keras.layers.Conv2D(1, 4, padding="same")(x))


mine, discriminator = my_discriminator(256), models.patch_discriminator(256)
assert mine.count_params() == discriminator.count_params()
print(f"{discriminator.output_shape[1:3]} scores, {discriminator.count_params():,} parameters")
diagrams.network(discriminator, "PatchGAN")

# %% [markdown]
# This network only goes down, and ends with a single channel of scores.
#
# ### How many pixels does one score see?
#
# This number is the **receptive field**. Before the first layer, a value sees one pixel. A convolution with kernel 4
# looks at 4 neighbours, so it adds 3 times the distance between neighbours. A stride of 2 doubles that distance for
# all later layers. We add it up for the paper's strides, and ask the helper about two other versions in use.

# %%
field, distance = 1, 1
for stride in (2, 2, 2, 1, 1):  # the last is the convolution to one channel
    field += (4 - 1) * distance
    distance *= stride
    print(f"stride {stride}: sees {field:>2} pixels; neighbours are now {distance} apart")
assert field == models.receptive_field(discriminator) == 70

circulating = {"strides 2,2,2,1": (2, 2, 2, 1), "strides 2,2,2,2": (2, 2, 2, 2), "strides 2,2,2,2,1": (2, 2, 2, 2, 1)}
for name, strides in circulating.items():
    print(name, "sees", models.receptive_field(models.patch_discriminator(256, filters=8, strides=strides)))

# %% [markdown]
# The paper's strides give 70 pixels: this is its "70×70 PatchGAN". The other two see 94 and 142 pixels. The last is
# from a tutorial whose text calls it 70×70; you can now check such a claim in four lines.
#
# A second check does not use the rule. Take the gradient of one score with respect to every pixel, and count the
# pixels where it is not zero. (We leave out the normalisation, because its means depend on the whole picture.)

# %%
plain = models.patch_discriminator(256, filters=8, normalization="none")
image = tf.Variable(tf.random.uniform((1, 256, 256, 3), -1, 1))
with tf.GradientTape() as tape:
    score = plain(image)[0, 16, 16, 0]
touched = np.abs(tape.gradient(score, image)[0]).sum(-1) > 0
print("rows touched:", touched.any(axis=1).sum(), " columns touched:", touched.any(axis=0).sum())
assert touched.sum() == 70 * 70

# %% [markdown]
# Rule and gradient agree. How much of a picture do 70 pixels show? Move the patch of one score over the picture. At
# the edge, a part of the patch is padding (dashed). The dots are the positions of all scores.

# %%
from labutils import dashboard

dashboard.PatchMover(discriminator, orchard.render_pair(seed=7, size=256).a)

# %% [markdown]
# A patch is large enough to judge the shine and shadow of a fruit's skin, but too small to count fruit. Neighbouring
# patches overlap widely. The scores mean nothing yet, because this discriminator is not trained.
#
# ## The comparison
#
# Which generator is better? Both get the same number of filters in their first layer. We compare:
#
# - **Multiply-adds:** every position of the output uses every weight of the kernel once. (In a transposed
#   convolution, it is every position of the input.)
# - **Memory:** all layers' values in float32, which training must keep for the backward pass.
# - **Time:** the median of five runs, after a first run that builds the graph.
#
# `labutils.measure.cost` counts the first two. The cell counts the first convolution of the U-Net by hand and compares.

# %%
from labutils.measure import cost

positions, weights = (lab.size // 2) ** 2, 4 * 4 * 3 * filters  # the stride halves each side; 3 channels come in
assert cost.multiply_adds(unet)[0] == positions * weights
print(f"{positions:,} positions × {weights:,} weights = {positions * weights:,} multiply-adds in the first convolution")


# %%
def milliseconds(function, picture, runs=5):
    function(picture)  # builds the graph
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        tf.nest.map_structure(lambda answer: answer.numpy(), function(picture))
        times.append(1000 * (time.perf_counter() - start))
    return np.median(times)


def forward_and_backward(model):
    @tf.function
    def gradients(picture):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(model(picture, training=True) - picture))
        return tape.gradient(loss, model.trainable_variables)

    return gradients


# %% [markdown]
# The number of blocks in the ResNet depends on the profile.

# %%
blocks = {"smoke": 2, "class": 4, "full": 9}[lab.name]
makers = {
    "U-Net": lambda: models.unet_generator(lab.size, filters=filters),
    f"ResNet-{blocks}": lambda: models.resnet_generator(lab.size, filters=filters, blocks=blocks),
}
print(f"{'':<10}parameters  million multiply-adds  receptive field  forward ms  and backward ms  memory MB")
for name, make in makers.items():
    model = make()
    forward = milliseconds(tf.function(model), real_a)
    both = milliseconds(forward_and_backward(model), real_a)
    print(f"{name:<10}{model.count_params():>10,}{sum(cost.multiply_adds(model)) / 1e6:>23.1f}", end="")
    print(f"{models.receptive_field(model):>17}{forward:>12.1f}{both:>17.1f}{cost.values(model) * 4 / 2**20:>11.1f}")

# %% [markdown]
# Compare how many multiply-adds each network does for one parameter. Most weights of the U-Net are at the bottom,
# where the picture is tiny. Those of the ResNet are where the picture is still large. Fewer parameters do not make a
# network faster: what counts is how many positions use each parameter.
#
# ### The same short training
#
# Both learn from the same orchard, with the same seed, in the same order, for the same number of steps. At the class
# profile each takes about half a minute. Lesson 3 explains what `CycleGAN` does at each step.

# %%
from dataclasses import replace

from labutils import published
from labutils.cyclegan import CycleGAN
from labutils.datasets import pipeline

on_orchard = replace(lab, dataset="orchard", train=min(lab.train, 400), test=min(lab.test, 200))
root = published.ensure(on_orchard)
steps = min(lab.steps // 8, 600)


def new_discriminator():
    return models.build({**lab.discriminator, "image_size": lab.size})


def train(make):
    tf.keras.utils.set_random_seed(1)
    gan = CycleGAN(make(), make(), new_discriminator(), new_discriminator(), pool_size=lab.pool_size)
    gan.compile(run_eagerly=steps < 10)  # for so few steps a graph is not worth building
    gan.fit(pipeline.unpaired(root, lab.size, seed=1), steps_per_epoch=steps, verbose=0)
    return gan


gans = {}
for name, make in makers.items():
    start = time.perf_counter()
    gans[name] = train(make)
    print(f"{name}: {steps} steps in {time.perf_counter() - start:.0f} s")

# %% [markdown]
# The cell measures all held-out pairs in decibels (higher is better), inside the mask of the fruit and outside.
# `copy` is the score of the unchanged input. Below are apples, the output of each generator, and the truth.

# %%
from labutils import metrics

real, truth, _ = metrics.test_pairs(str(root), "ab")
fakes = [np.asarray(gan.generator_ab(real[:6] * 2 - 1)) / 2 + 0.5 for gan in gans.values()]
print(f"{'':<10}fruit dB  copy dB  background dB")
for name, gan in gans.items():
    report = metrics.report(gan.generator_ab, root, "ab")
    print(f"{name:<10}{report['fruit_psnr']:>8.1f}{report['copy_fruit_psnr']:>9.1f}{report['background_psnr']:>15.1f}")
plots.grid(
    [real[:6], *fakes, truth[0][:6]],
    ["apples", *gans, "truth"],
    alt="Test apples, both generators' oranges after a short training, and the true oranges",
)

# %% [markdown]
# At the class profile both have begun to paint oranges, and both still spoil the background:
#
# - The fine grid of the ResNet comes from its transposed convolutions.
# - The U-Net keeps the edges of the apples, which come through its skips, but also more of the apples' red.
#
# Read the numbers together: the fruit should be closer to the truth than `copy`, while the background stays. A short
# training with one seed is only weak evidence. Lesson 3 trains longer, and adds an output that says where to paint.
#
# ## The networks of other texts
#
# Several tutorials and book chapters describe CycleGAN with other networks. `presets.PRESETS` keeps their
# descriptions by name, and `models.build` turns each into a network. The table shows how they differ.

# %%
print(f"{'':<18}pixels  {'generator':<18}parameters  discriminator's   sees  λ cycle, identity")
for name, preset in presets.PRESETS.items():
    size, weights = preset["image_size"], preset["loss_weights"]
    g, d = (models.build({**preset[part], "image_size": size}) for part in ("generator", "discriminator"))
    print(f"{name:<18}{size:>6}  {g.name:<18}{g.count_params():>10,}{d.count_params():>17,}", end="")
    print(f"{models.receptive_field(d):>7}{weights['cycle']:>9}, {weights['identity']}")

# %% [markdown]
# The method is the same, but the networks differ. `end-to-end` is the tutorial that concatenates. Compare its
# parameters with those of `introduction`, the paper's network, which has the same filters and blocks.
#
# ## Looking inside
#
# What do the layers of the trained U-Net compute from a picture? Choose a layer and one of its channels.

# %%
trained = gans["U-Net"].generator_ab
dashboard.FeatureMaps(trained, apples)

# %% [markdown]
# Early layers find edges and colours at many positions. Deep layers hold a few coarse values. On the way up, detail
# comes back through the skips.
#
# ## Summary
#
# - A U-Net narrows to a few numbers, and brings details back by **concatenation**. A ResNet keeps its pictures large
#   and **adds** corrections. With about as many parameters, the ResNet does far more arithmetic.
# - A transposed convolution paints unevenly if its stride does not divide its kernel size. Repeating pixels is even.
# - Zero padding leaves a grey frame; reflection padding does not.
# - Normalisations differ in which values share a mean. Instance normalisation treats each picture alone, in training
#   and in use. With one picture a batch, batch normalisation in training equals it.
# - A score of a PatchGAN sees a patch whose size follows from kernels and strides: 70, 94 or 142 pixels.
#
# ## Exercises
#
# ### Exercise 1 — count parameters
#
# A convolution has one square kernel for each pair of input and output channel, and one bias for each output channel.
# Write its number of parameters as a function.


# %%
def parameters(kernel, inputs, outputs):
    ### BEGIN SOLUTION
    return kernel * kernel * inputs * outputs + outputs
    ### STAND-IN
    # return 0  # your code here
    ### END SOLUTION


# %%
check("2-parameters", parameters)

# %% [markdown]
# ### Exercise 2 — instance normalisation
#
# Write instance normalisation of a batch (pictures, height, width, channels) in NumPy, with epsilon 1e-5 inside the
# root.


# %%
def instance_normalisation(x):
    ### BEGIN SOLUTION
    mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5)
    ### STAND-IN
    # return x  # your code here
    ### END SOLUTION


# %%
check("2-instance", instance_normalisation)

# %% [markdown]
# ### Exercise 3 — a residual block
#
# `first` and `second` are two layers, passed as functions. Write the block of the paper: the first layer, a ReLU
# (`np.maximum(…, 0)`), the second layer, and the skip by addition.


# %%
def residual(x, first, second):
    ### BEGIN SOLUTION
    return x + second(np.maximum(first(x), 0))
    ### STAND-IN
    # return x  # your code here
    ### END SOLUTION


# %%
check("2-residual", residual)

# %% [markdown]
# ### Exercise 4 — the receptive field, for any kernels
#
# The cell in the lesson handled only kernels of 4. Write a function of two tuples of equal length: kernels and
# strides.


# %%
def receptive_field(kernels, strides):
    ### BEGIN SOLUTION
    field, distance = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * distance
        distance *= stride
    return field
    ### STAND-IN
    # return 1  # your code here
    ### END SOLUTION


# %%
check("2-field", receptive_field)

# %% [markdown]
# ### Exercise 5 — a discriminator for small pictures
#
# For pictures of 64 pixels, a receptive field of 70 is too wide. Find strides (each 1 or 2) for
# `models.patch_discriminator` with which a score sees 46 pixels.

# %%
### BEGIN SOLUTION
my_strides = (2, 2, 2)
### STAND-IN
# my_strides = (2, 2, 2, 1)  # change these
### END SOLUTION
print(models.receptive_field(models.patch_discriminator(64, filters=8, strides=my_strides)))

# %%
check("2-strides", my_strides)

# %% [markdown]
# ### Exercise 6 — no checkerboard
#
# Which kernel sizes from 2 to 7 make a transposed convolution with stride 2 paint every pixel equally often? Try
# `enlarge("transposed", tf.ones((1, 8, 8, 1)), kernel)`, and ignore the border.

# %%
### BEGIN SOLUTION
even = []
for kernel in range(2, 8):
    painted = enlarge("transposed", tf.ones((1, 8, 8, 1)), kernel)[0, 6:10, 6:10, 0]
    if painted.min() == painted.max():
        even.append(kernel)
### STAND-IN
# even = [3]  # your answer here
### END SOLUTION
even

# %%
check("2-checkerboard", even)

# %% [markdown]
# ## Further reading
#
# - Ronneberger, Fischer, Brox 2015: *U-Net: Convolutional Networks for Biomedical Image Segmentation*.
# - He, Zhang, Ren, Sun 2015: *Deep Residual Learning for Image Recognition*.
# - Isola, Zhu, Zhou, Efros 2016: *Image-to-Image Translation with Conditional Adversarial Networks* (the PatchGAN).
# - Ulyanov, Vedaldi, Lempitsky 2016: *Instance Normalization: The Missing Ingredient for Fast Stylization*.
# - Odena, Dumoulin, Olah 2016: *Deconvolution and Checkerboard Artifacts*.
# - Wu, He 2018: *Group Normalization*.
