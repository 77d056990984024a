# %% [markdown]
# # Lesson 5: Style transfer
#
# A CycleGAN learned a translation from two folders of pictures. This lesson needs no folder and no training, only one
# photograph and one painting. It searches for a picture with the content of the photograph and the style of the
# painting. The variables of this search are the pixels themselves.
#
# **What you will be able to do**
#
# - look at a picture through the layers of a trained network, and say what each layer keeps
# - write the content loss, the Gram matrix, the style loss and the total variation, and check them
# - run the search with L-BFGS and with Adam, steer it while it runs, and read its curves
# - say which normaliser a tutorial uses, and why its weights do not fit another tutorial
# - say when style transfer is the right tool, and when a CycleGAN is
#
# **Before you start:** lesson 2 for convolutions. Nothing of the other lessons is loaded. **Time:** 75 minutes.

# %%
import time

import numpy as np
from matplotlib import colormaps
from skimage import data

from labutils import dashboard, features, pictures, profile, style
from labutils.checks import check
from labutils.extras import coarse_to_fine, imagenet, presets
from labutils.figures import plots
from labutils.scenes import styles

lab = profile.load()
print(f"Profile {lab.name}: {lab.cost}.")
vgg = features.vgg()
small, few = lab.style_size // 2, max(3, lab.style_steps // 3)

# %% [markdown]
# VGG is a network of 2014 that its authors trained to name what is in a photograph. If VGG19 is in Keras' cache, this
# lesson uses it; else it uses the first nine layers of VGG16, which the course ships in 8 bits. Nothing is downloaded.
# The caption of each figure says whose features made it. If the classifier is in the cache too, the next cell prints
# what it recognises.
#
# ## What the layers see
#
# Each layer answers with a stack of maps that are bright where a pattern occurs. The next cell sends a photograph
# through three layers. It shows the four channels of each that answer most.

# %%
photo = pictures.resize(data.coffee(), lab.style_size)
print("VGG19 recognises:", imagenet.predict(photo) or "(no classifier in Keras' cache)")
maps = vgg(photo[None].astype("float32"))
layers = ["block1_conv2", "block2_conv2", "block4_conv2"]
rows, viridis = [], colormaps["viridis"]
for name in layers:
    stack = maps[name][0].numpy()
    strongest = np.argsort(-stack.mean((0, 1)))[:4]
    rows.append([photo] + [viridis(stack[..., k] / stack[..., k].max())[..., :3] for k in strongest])
plots.grid(
    rows, layers, alt="a cup of coffee, and its strongest feature maps in three layers", scale=1.7, caption=vgg.source
)

# %% [markdown]
# The first block sees edges and colours, pixel by pixel. The maps of the fourth block have few, coarse places, bright
# where something like a rim or a handle is. It knows *what is where* and has forgotten the exact pixels. So we compare
# **content** in a deep layer.
#
# ## The losses, each in a line or two
#
# - *Content* compares the maps of two pictures place by place.
# - *Style* must not know the place: it asks only which channels fire **together**. The **Gram matrix** says so: for
#   each two channels, it holds the mean of their product over all positions.
# - *Total variation* measures noise: how much neighbouring pixels differ.


# %%
import tensorflow as tf


def content_loss(maps, target):
    return tf.reduce_sum((maps - target) ** 2) / tf.reduce_sum(target**2)


def gram_matrix(maps):
    flat = tf.reshape(maps, [-1, maps.shape[-1]])  # (positions, channels)
    return tf.matmul(flat, flat, transpose_a=True) / flat.shape[0]


def style_loss(gram, target):
    return tf.reduce_sum((gram - target) ** 2) / tf.reduce_sum(target**2)


def total_variation(image):
    down, right = image[:, 1:, :-1] - image[:, :-1, :-1], image[:, :-1, 1:] - image[:, :-1, :-1]
    return tf.reduce_mean(down**2 + right**2) / 255**2


# %% [markdown]
# Content and style are divided by the target's own sum of squares: 0 means "the same", 1 "as far off as maps that are
# all zero". A painted picture can lie above 1 and still show its content. The course's engine has one function for
# both, `style.difference`. The next cell compares ours with the engine and with NumPy, on random numbers.

# %%
random = np.random.default_rng(0)
one, two = random.random((2, 1, 6, 7, 5)).astype("float32")
flat = one.reshape(-1, 5).astype("float64")
np.testing.assert_allclose(gram_matrix(one), flat.T @ flat / 42, rtol=1e-5)
np.testing.assert_allclose(gram_matrix(one), style.gram_matrix(one), rtol=1e-5)
np.testing.assert_allclose(content_loss(one, two), ((one - two) ** 2).sum() / (two**2).sum(), rtol=1e-5)
np.testing.assert_allclose(content_loss(one, two), style.difference(one, two), rtol=1e-5)
grams = gram_matrix(one), gram_matrix(two)
squares = np.sum((grams[0].numpy() - grams[1].numpy()) ** 2) / np.sum(grams[1].numpy() ** 2)
np.testing.assert_allclose(style_loss(*grams), squares, rtol=1e-5)
np.testing.assert_allclose(style_loss(*grams), style.difference(*grams), rtol=1e-5)
image = random.uniform(0, 255, (1, 6, 7, 3)).astype("float32")
squares = np.diff(image, axis=1)[:, :, :-1] ** 2 + np.diff(image, axis=2)[:, :-1] ** 2
np.testing.assert_allclose(total_variation(image), squares.mean() / 255**2, rtol=1e-5)
np.testing.assert_allclose(total_variation(image), style.total_variation(image), rtol=1e-5)
print("Content, Gram matrix, style and variation: equal to labutils.style and to NumPy.")

# %% [markdown]
# ## A Gram matrix is a fingerprint of texture
#
# The next figure shows three textures, and a fourth: grass with its four quarters swapped, another picture with the
# same texture. Below each is the Gram matrix of its first 24 channels in `block2_conv1`; bright means that two channels
# fire together. The last row shows the upper left corner of the two maps that fire together most.

# %%
textures = {"brick": data.brick(), "grass": data.grass(), "gravel": data.gravel()}
textures = {name: pictures.resize(image, lab.style_size) for name, image in textures.items()}
textures["grass, swapped"] = np.roll(textures["grass"], lab.style_size // 2, (0, 1))
fired = {name: vgg(image[None].astype("float32"))["block2_conv1"][..., :24] for name, image in textures.items()}
grams = {name: gram_matrix(stack).numpy() for name, stack in fired.items()}
strongest = max(gram.max() for gram in grams.values())
rows = [list(textures.values()), [viridis(np.sqrt(gram / strongest))[..., :3] for gram in grams.values()], []]
titles = []
for name, gram in grams.items():
    pair = np.unravel_index(np.triu(gram, 1).argmax(), gram.shape)  # the largest value off the diagonal
    two = [fired[name][0, :40, :40, k].numpy() for k in pair]
    rows[2].append(viridis(np.hstack([stack / np.quantile(stack, 0.99) for stack in two]))[..., :3])
    titles.append(f"{name}\nchannels {pair[0]} and {pair[1]}")
between, same = (style_loss(grams[name], grams["grass"]) for name in ("brick", "grass, swapped"))
print(f"Style loss to grass: brick {between:.3f}, grass with its quarters swapped {same:.5f}.")
assert same < between / 10
names = ["texture", "Gram matrix:\nchannel by channel", "two channels"]
plots.grid(
    rows,
    names,
    titles,
    alt="four textures, their Gram matrices, and two channels that fire together",
    scale=2,
    caption=vgg.source,
)

# %% [markdown]
# The bright rows belong to channels that fire often. A bright spot off the diagonal is a pair that fires together: the
# two maps below it light up in the same places. Brick and grass differ. Swapping the quarters changes next to nothing,
# because the matrix holds no places.
#
# ## Whose weights? The normalisers
#
# Every tutorial divides the Gram difference by something else, its **normaliser**, and its weights fit only this
# normaliser. For Gram matrices of N channels (means over M positions), `sum((gram - target)²)` is multiplied with:
#
# - 1 / (4 N²) by Gatys;
# - 1 / N² by TensorFlow's tutorial, and 1 / N⁴ by PyTorch's;
# - M² / (4 · 3² · pixels²) by the code of the "Paint" chapter.
#
# The next cell prints these numbers for two layers, relative to Gatys'. The course's engine has two of the normalisers.
# Its default, `"target"`, makes the loss a share of the style's own strength, which does not depend on size, layer or
# network. The other, `"paint"`, is for the weights of the "Paint" chapter.


# %%
def style_factors(target, positions, pixels):
    channels = target.shape[0]
    return {
        "target": 1 / float(tf.reduce_sum(target**2)),
        "gatys": 1 / (4 * channels**2),
        "tensorflow": 1 / channels**2,
        "pytorch": 1 / channels**4,
        "paint": positions**2 / (4 * 3**2 * pixels**2),
    }


height, width = photo.shape[:2]
for layer, shrink in (("block1_conv1", 1), ("block4_conv1", 8)):
    positions = (height // shrink) * (width // shrink)
    factors = style_factors(gram_matrix(maps[layer]), positions, height * width)
    print(layer, *(f"{name} {factor / factors['gatys']:.3g}" for name, factor in factors.items()), sep="   ")
try:
    style.StyleTransfer(photo, textures["brick"], vgg, **presets.STYLE["paint"])
except ValueError as error:
    print(f"The Paint chapter's preset: {error}")

# %% [markdown]
# At `block1_conv1`, N is 64 and M is all pixels. There the "Paint" chapter's *code* counts a difference 455 times as
# much as Gatys' formula, which the chapter prints: 64² · 4 / (4 · 9) = 455. With this formula, the chapter's weights
# (content 1, style 100, variation 20) seem to do nothing. `presets.STYLE["paint"]` holds them with the normaliser that
# they need. It raises an error, as above, if the features end before `block5_conv2`.
#
# ## What content and style mean: reconstructions
#
# The search now starts from noise, with one loss only. The first row asks for the content of one layer. The second asks
# for the style of the first one, two or four blocks of a picture painted by code. The last row asks the same of a VGG
# with *random* weights, which has the same shape and has never seen a picture. The difference is what training gave.

# %%
brush = styles.paint("brush_strokes", lab.style_size)
photo_small, brush_small = pictures.resize(photo, small), pictures.resize(brush, small)
untrained = features.vgg(vgg.backbone, weights="random")
rows = [[photo_small], [brush_small], [brush_small]]
for layer in ("block1_conv2", "block2_conv2", "block4_conv2"):
    rows[0].append(style.StyleTransfer(photo_small, None, vgg, content_layer=layer, start="noise").run(few))
for blocks in (1, 2, 4):
    wanted = {f"block{block}_conv1": 1 for block in range(1, blocks + 1)}
    for row, network in ((rows[1], vgg), (rows[2], untrained)):
        row.append(style.StyleTransfer(None, brush_small, network, layer_weights=wanted).run(few))
names = ["content\nof one layer", "style\nof all up to it", "style,\nuntrained"]
titles = ["picture", "block 1", "block 2", "block 4"]
plots.grid(
    rows,
    names,
    titles,
    alt="reconstructions from noise, by layer",
    scale=2,
    caption=f"{vgg.source}; last row: {untrained.source}",
)

# %% [markdown]
# - Content: the shallow layer gives the photograph back. The deep one gives the shapes back, but not the exact pixels.
# - Style: one block gives colours and fine grain, two give strokes that flow. Four also gather them into large light
#   and dark forms, under some noise after so few iterations.
# - The untrained network measures colours and coarse grain well enough, but recognising strokes takes training.
#
# So we take content from a deep layer, and style from all depths.
#
# ## The run
#
# One compiled function gives the loss and its gradient for all pixels. L-BFGS, from scipy, remembers how the gradient
# changed over the last ten steps, and estimates the curvature from it. `callback` is called after every iteration.

# %%
transfer = style.StyleTransfer(photo, brush, vgg, content_weight=1, style_weight=10, variation_weight=0.5)
history, kept = [transfer.losses()], [transfer.image]


def watch(step, image, losses):
    history.append(losses)
    if step in (few // 2, few, lab.style_steps):
        kept.append(image)


began = time.perf_counter()
painted = transfer.run(lab.style_steps, callback=watch)
fall = 1 - history[-1]["style"] / history[0]["style"]
print(
    f"{lab.style_steps} iterations in {time.perf_counter() - began:.0f} s; the style term fell by {fall:.0%},", end=" "
)
print(f"the content term rose to {history[-1]['content']:.2f}.")
assert all(after["total"] < before["total"] for before, after in zip(history, history[1:], strict=False))
assert lab.name == "smoke" or fall > 0.9
titles = [f"iteration {step}" for step in (0, few // 2, few, lab.style_steps)]
plots.grid(
    [[brush, *kept]],
    None,
    ["style", *titles],
    alt="the style, and the cup on its way to a painting",
    scale=2.2,
    caption=vgg.source,
)

# %% [markdown]
# The loss falls in every iteration, because L-BFGS accepts no step that does not lower it. Most of the change comes
# early; the later iterations set fine strokes. The content term *rises* from 0, because we started from the photograph.
#
# ## L-BFGS and Adam, from the same start
#
# Adam is the optimizer of the other lessons. It scales each pixel's step by that pixel's past gradients, and does not
# use the curvature. The next cell runs both from the same start on the same loss, and plots the loss against time.

# %%
race = style.StyleTransfer(photo_small, brush_small, vgg)
race.losses()  # builds the graph before the clock starts
lines = {}
for name, optimizer, rate in (("L-BFGS", "lbfgs", 0), ("Adam, rate 3", "adam", 3), ("Adam, rate 10", "adam", 10)):
    race.begin("content")
    log, began = [], time.perf_counter()
    race.run(2 * few, optimizer, lambda *now, log=log: log.append((time.perf_counter(), now[2]["total"])), rate)
    lines[name] = [moment - began for moment, _ in log], [total for _, total in log]
    print(f"{name}: loss {log[-1][1]:.3f} after {len(log)} iterations, {lines[name][0][-1]:.1f} s.")
plots.curves(lines, xlabel="seconds", alt="loss against time for L-BFGS and Adam", size=(7, 3), caption=vgg.source)

# %% [markdown]
# An evaluation costs the same for all: one pass through VGG and back. L-BFGS sometimes needs two or three for an
# iteration, to find how far to go. Adam's rate is in levels of 255. At 3 it needs three times as long as L-BFGS; at 10
# it is as fast, and over 300 iterations it ends lower than L-BFGS does (`benchmarks/README.md`). So when to use which?
#
# - L-BFGS has no rate to find, and its loss never rises.
# - Adam still works when the loss changes from step to step. L-BFGS does not.
#
# ## The panel
#
# Now steer the search yourself. The cell below starts it in the background and returns at once.
#
# - **Sliders** act at the next iteration, and nothing is compiled again. L-BFGS's memory describes the *old* loss, so
#   it restarts with an empty memory and says so.
# - You may also change the size, the content layer, the pooling and the colours, and upload a photograph and a
#   painting.
# - **Luminance** lays the photograph's colours over the result. **Matched statistics** gives the painting the
#   photograph's mean colour and covariance before it is used.
# - When it has ended, **Start** continues from the present picture. To begin again, run the cell again.
#
# Steer as long as you like *before* you run the next cell. That cell blocks the notebook, and with it the panel, until
# the painting has ended.

# %%
panel = dashboard.StylePanel(photo, styles.paint("tiles", lab.style_size), vgg, steps=lab.style_steps)
panel.start.click()
panel.sliders["style"].value = 20
panel

# %%
panel.wait()
print(*(f"iteration {step}: {text}" for step, text in panel.run.notes), sep="\n")
assert panel.run.step > 0 and "style weight 10 → 20" in panel.run.notes[0][1]
both, source = [panel.run.content, panel.run.image], panel.run.features.source
plots.grid([both], alt="the photograph and what the panel painted", scale=3, caption=source)

# %% [markdown]
# ## One engine, many pictures
#
# Weights are variables, so one compiled function serves a whole row of content weights from 0.1 to 10. It also serves
# other starts: the second row starts from the photograph, from noise and from the painting. The last picture mixes two
# styles: three parts brush strokes and one part the waves beside it.

# %%
strip, starts = [], []
for weight in (0.1, 0.3, 1, 3, 10):
    race.begin("content")
    race.weights.content.assign(weight)
    strip.append(race.run(few))
race.weights.content.assign(1)
for start in ("content", "noise", "style"):
    race.begin(start)
    starts.append(race.run(2 * few))
    print(f"from {start}: loss {race.losses()['total']:.3f}")
assert race.evaluate.experimental_get_tracing_count() == 1  # compiled once
waves = styles.paint("waves", small)
mixed = style.StyleTransfer(photo_small, [brush_small, waves], vgg, style_shares=[3, 1]).run(few)
rows = [strip, [*starts, waves[: small * 2 // 3], mixed]]
figure = plots.grid(rows, alt="five content weights; three starts, waves, a mix", scale=2.2, caption=vgg.source)
titles = [f"content {weight}" for weight in (0.1, 0.3, 1, 3, 10)]
titles += ["from content", "from noise", "from style", "waves", "mixed"]
for axis, title in zip(figure.axes, titles, strict=False):
    axis.set_title(title, fontsize=9)
figure

# %% [markdown]
# Along the first row the cup comes back. There is no right weight: it is a matter of taste, and of the normaliser. In
# the second row, the photograph is the safe start. From noise or the painting the content must be found first, and
# after so few iterations some of the start is still there.
#
# ## Coarse to fine
#
# Strokes can only grow as large as what VGG sees at once. So paint the picture small first, enlarge the result, and
# continue from there. Small pictures are cheap, and a stroke in them becomes a large form here. The style picture is
# scaled along.

# %%
sizes = [lab.style_size // 4, lab.style_size // 2, lab.style_size]
log = []
began = time.perf_counter()
fine = coarse_to_fine.run(
    photo, brush, sizes, [few, few, few // 2], vgg, callback=lambda step, image, losses: log.append(losses["total"])
)
print(f"Loss {log[-1]:.3f} in {time.perf_counter() - began:.0f} s; at full size only: {history[-1]['total']:.3f}.")
titles = ["full size only", "coarse to fine"]
plots.grid(
    [[painted, fine]],
    None,
    titles,
    alt="the cup painted at full size, and coarse to fine",
    scale=3,
    caption=vgg.source,
)

# %% [markdown]
# An iteration at a quarter of the size costs a sixteenth. But this is no quicker way to the *same loss*. At 512 pixels
# both took the same time (`benchmarks/README.md`), because the small painting has lost the photograph's detail. (The
# losses above do not compare like with like: coarse to fine had fewer iterations, most of them small.) It gives another
# picture, with larger forms if you look closely: choose with your eyes.
#
# ## Style transfer or CycleGAN?
#
# | | style transfer | CycleGAN |
# |---|---|---|
# | needs | one photograph, one painting, a trained VGG | two folders of hundreds of pictures |
# | costs | about a minute **each picture** | minutes to days of training **once**, then milliseconds |
# | learns | nothing: it searches | what all pictures of a domain have in common |
# | changes | texture, strokes, colours | also shape and matter: an apple's skin to an orange's peel |
# | steered by | weights, live, for this picture | data, and loss weights during training |
# | fails by | texture in the wrong place (sky in the cup) | invented or erased objects |
#
# For the style of one painting, use style transfer. For "Monet's way of seeing", from all his pictures, use a CycleGAN.
#
# ## Summary
#
# - A trained network measures likeness better than pixels do: deep layers hold content, Gram matrices hold style.
# - Gram matrices hold no places, so they measure texture.
# - Weights mean nothing without their normaliser.
# - L-BFGS suits a smooth loss that stays the same. When the loss changes, its memory must be emptied.
#
# ## Exercises
#
# ### Exercise 1 — The Gram matrix in NumPy
#
# Write `gram(maps)` for an array (1, height, width, channels), without TensorFlow.


# %%
def gram(maps):
    ### BEGIN SOLUTION
    flat = maps.reshape(-1, maps.shape[-1])
    return flat.T @ flat / len(flat)
    ### STAND-IN
    # return np.zeros((maps.shape[-1], maps.shape[-1]))  # your code here
    ### END SOLUTION


# %%
check("5-gram", gram)

# %% [markdown]
# ### Exercise 2 — Total variation
#
# Write `variation(image)` for an array (1, height, width, 3) in [0, 255]. Take each pixel that has a neighbour below
# and one on the right, and add the two squared differences to them. Take the mean over these pixels and the colours,
# and divide by 255².


# %%
def variation(image):
    ### BEGIN SOLUTION
    here = image[:, :-1, :-1]
    squares = (image[:, 1:, :-1] - here) ** 2 + (image[:, :-1, 1:] - here) ** 2
    return np.mean(squares) / 255**2
    ### STAND-IN
    # return 0.0  # your code here
    ### END SOLUTION


# %%
check("5-variation", variation)

# %% [markdown]
# ### Exercise 3 — Another tutorial's weight
#
# How many times as much as Gatys' formula does the "Paint" code count a difference in `block2_conv1`? This layer has N
# = 128 channels, and M is a quarter of the picture's pixels. (Both formulas are in the section on normalisers.)

# %%
### BEGIN SOLUTION
factor = (1 / 4) ** 2 / (4 * 3**2) * (4 * 128**2)
### STAND-IN
# factor = 1.0  # your code here
### END SOLUTION


# %%
check("5-factor", factor)

# %% [markdown]
# ### Exercise 4 — Keep the photograph's colours
#
# `pictures.YIQ` turns RGB into brightness Y and two colour axes I and Q: `image @ pictures.YIQ.T`. Join the painted
# picture's brightness with the photograph's colours, and return RGB floats (no rounding).


# %%
def keep_colours(painted, photograph):
    ### BEGIN SOLUTION
    yiq = photograph @ pictures.YIQ.T
    yiq[..., 0] = (painted @ pictures.YIQ.T)[..., 0]
    return yiq @ np.linalg.inv(pictures.YIQ).T
    ### STAND-IN
    # return 0.5 * painted + 0.5 * photograph  # your code here
    ### END SOLUTION


# %%
check("5-colours", keep_colours)
mine = np.clip(keep_colours(painted.astype(float), photo.astype(float)), 0, 255).astype("uint8")
matched = pictures.match_colours(brush, photo)
titles = ["painted", "the photograph's colours", "style", "style, matched"]
plots.grid(
    [[painted, mine, brush, matched]],
    None,
    titles,
    alt="painted, with the photograph's colours, style, style matched",
    scale=2,
    caption=vgg.source,
)

# %% [markdown]
# ### Exercise 5 — Style layers that fade
#
# A known extension gives shallow layers more weight. Give the layers `block1_conv1` to `block4_conv1` weights that
# halve from layer to layer and sum to 1. Write them as a dict that `StyleTransfer(layer_weights=...)` takes.

# %%
### BEGIN SOLUTION
decayed = {f"block{block}_conv1": 0.5**block / (1 - 0.5**4) for block in range(1, 5)}
### STAND-IN
# decayed = {f"block{block}_conv1": 0.0 for block in range(1, 5)}  # your code here
### END SOLUTION


# %%
check("5-decay", decayed)

# %% [markdown]
# ### Exercise 6 — Two styles, one target
#
# Instead of adding two losses, one can mix the Gram matrices. Write the weighted mean of `one` and `two` with the
# shares `a` and `b` (which need not sum to 1).


# %%
def mix(one, two, a, b):
    ### BEGIN SOLUTION
    return (a * one + b * two) / (a + b)
    ### STAND-IN
    # return 0 * one  # your code here
    ### END SOLUTION


# %%
check("5-mix", mix)

# %% [markdown]
# ## Further reading
#
# - Gatys, Ecker, Bethge: *Image style transfer using convolutional neural networks*, 2016 — the method.
# - Gatys, Bethge, Hertzmann, Shechtman: *Preserving color in neural artistic style transfer*, 2016 — luminance,
#   statistics.
# - Li, Wang, Liu, Hou: *Demystifying neural style transfer*, 2017 — why Gram matrices.
# - Johnson, Alahi, Fei-Fei: *Perceptual losses for real-time style transfer*, 2016 — a network that does it in one
#   pass.
# - Liu, Nocedal: *On the limited memory BFGS method*, 1989.
