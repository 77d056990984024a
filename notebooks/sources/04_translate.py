# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Lesson 4: translating pictures
#
# A trained generator is a file of numbers. This lesson loads two of them, translates pictures both ways and back,
# and then spends most of its time on the harder question: how good are the results, and how would you know?
#
# **What you will be able to do**
#
# - load a generator from weights and a card, and say why a whole saved model is not something to accept from strangers;
# - translate A→B→A and B→A→B, single photographs of any shape, and folders;
# - measure a translation with and without a truth: PSNR, SSIM, baselines, a classifier, KID with its error;
# - tell why a small cycle error proves nothing, and find the failures without looking at every picture;
# - hand a generator on, and train one on your own pictures.
#
# **Before you start:** lesson 3, or just its idea: this lesson brings trained generators along. **Time:** 60
# minutes.

# %%
import dataclasses
import json
import pickle

import numpy as np
import skimage.data
from IPython.display import Image, display

from labutils import measure, metrics, models, profile, published, translate
from labutils.checks import check
from labutils.dashboard import TranslatePanel
from labutils.datasets import pipeline
from labutils.extras import archive, export
from labutils.figures import plots
from labutils.scenes import orchard

lab = profile.load()
print(f"Profile {lab.name}: {lab.cost}.")

# %% [markdown]
# ## Load two generators
#
# The course ships pairs trained with lesson 3's code; `translate.shipped()` lists them. A generator is two files. The
# card is a text that says how the network is built, what it was trained on and how well it does. `load_generator`
# builds the network from the card's `spec` with the course's own code, compares the SHA-256 of the weight file with the
# card's, and fills the numbers in. The lesson then works at the size that the generators were trained for. Two more
# pairs, `orchard128-unet` and `orchard128-resnet`, were trained on pictures of 128 pixels.


# %%
def load_pair(place):
    return {direction: translate.load_generator(f"{place}-{direction}") for direction in ("ab", "ba")}


pairs = {"shipped": load_pair(profile.home("pretrained", "orchard64"))}
card = pairs["shipped"]["ab"].card
own_size, lab = lab.size, dataclasses.replace(lab, dataset=card["data"], size=card["size"])
root = published.ensure(lab)
for key, value in card.items():
    print(f"{key}: {value}")

# %% [markdown]
# Why not one file with everything? Older tutorials save a whole model, `model.save("g.h5")`. Such a file also says
# which *layers* to build, and where Keras does not know one, it must be given: `load_model("g.h5", custom_objects=
# {"InstanceNormalization": InstanceNormalization})`. With weights alone there is nothing to look up: code builds the
# network. And a whole model may hold a `Lambda` layer, which is Python code. Opening the file runs it. The same goes
# for `pickle`, and this is how little it takes:


# %%
class Sneaky:
    def __reduce__(self):  # what pickle calls when the file is read
        return print, ("This line was printed by the file itself, while it was being read.",)


sneaky = profile.home("runs", "sneaky.weights.h5")
sneaky.parent.mkdir(parents=True, exist_ok=True)
sneaky.write_bytes(pickle.dumps(Sneaky()))
sneaky.with_name("sneaky.json").write_text(json.dumps(card))
pickle.loads(sneaky.read_bytes())
try:
    translate.load_generator(sneaky)
except translate.WeightsError as error:
    print("load_generator:", error)

# %% [markdown]
# It was only `print`; it could have been anything that you may do on this computer. `load_generator` looks at the
# first bytes, opens nothing but HDF5 files whose hash is the card's, and reads nothing but arrays of finite numbers,
# of the right shapes, that lie in the file itself. Numbers cannot run. They also load in every version of Keras, which
# whole models do not.
#
# ## Yours, or the shipped one
#
# Lesson 3 ended with a choice, one step for each direction. Which pair goes on, yours or the shipped one? Again not
# the test pictures decide, which are to judge it below, but the validation scenes: `gain` is how much nearer to the
# truth a translation is, inside the fruit, than the unchanged picture, in decibels (dB; more on them where we measure).
# Yours is taken if it gains more than 1 dB both ways.

# %%
place = profile.home("runs", f"lesson3-{lab.name}", "generators")
if own_size == lab.size and (place / "chosen-ba.json").exists():  # the smoke profile's are smaller
    pairs["yours"] = load_pair(place / "chosen")
scenes = published.validation(lab)
gains = {name: [metrics.report(pair[d], scenes, d)["gain"] for d in pair] for name, pair in pairs.items()}
for name, (gain_ab, gain_ba) in gains.items():
    print(f"{name:>7}: apples to oranges {gain_ab:5.1f} dB, oranges to apples {gain_ba:5.1f} dB")
chosen = "yours" if min(gains.get("yours", [0])) > 1 else "shipped"
generators = pairs[chosen]
print(f"From here on: {chosen}")

# %% [markdown]
# With real photographs there is no such number: then choose by looking, at the same few test pictures for every step,
# or by the measures below that need no truth.
#
# ## There and back
#
# Apples to oranges and back, then oranges to apples and back, on pictures that were not trained on. Pictures go in
# and come out as numbers in [-1, 1]. The last row is the identity: `generator_ba`, which makes apples, is given an
# apple, and should leave it alone. The second cell makes the same trips from the archive of the older tutorials, which
# keep a dataset as two arrays of bytes in one NumPy file.

# %%
generator_ab, generator_ba = generators["ab"], generators["ba"]
real_a, real_b = (pipeline.pictures(root, f"test{domain}", lab.size, limit=6) for domain in "AB")
fake_b, fake_a = generator_ab(real_a), generator_ba(real_b)
cycled_a, cycled_b = generator_ba(fake_b), generator_ab(fake_a)
same_a, same_b = generator_ba(real_a), generator_ab(real_b)
a_rows = {"real_a": real_a, "fake_b": fake_b, "cycled_a": cycled_a, "same_a": same_a}
b_rows = {"real_b": real_b, "fake_a": fake_a, "cycled_b": cycled_b, "same_b": same_b}
for rows, text in (a_rows, "apples, as oranges, back again"), (b_rows, "oranges, as apples, back again"):
    grid = plots.grid(list(rows.values()), list(rows), alt=f"Six pictures: {text}, and the identity.", black=-1)
    display(grid)
    real = rows.pop("real_a" if "real_a" in rows else "real_b")
    print({name: f"{127.5 * np.abs(other - real).mean():.1f} levels" for name, other in rows.items()})

# %%
assert np.abs(same_b - real_b).mean() < np.abs(fake_b - real_a).mean()
packed = archive.to_npz(root, profile.home("data", f"{root.name}-test.npz"), size=lab.size, merge_test=True)
trips = []
for pictures, there, back in zip(archive.from_npz(packed), ("ab", "ba"), ("ba", "ab"), strict=True):
    real = pictures[-3:] / np.float32(127.5) - 1
    fake = generators[there](real)
    trips.append([real, fake, generators[back](fake)])
plots.grid(
    [np.concatenate(row) for row in zip(*trips, strict=True)],
    row_titles=["real", "fake", "cycled"],
    column_titles=["A→B→A"] * 3 + ["B→A→B"] * 3,
    alt="Three apples and three oranges from the archive, translated, and translated back.",
    black=-1,
)

# %% [markdown]
# The numbers say by how many grey levels of 255 the average pixel differs from the real picture. A fruit of the right
# kind is hardly touched. On the round trip a red apple may come back green or yellow: an orange does not say which
# apple it was, and nothing but a hidden note could tell.
#
# ## One photograph, any shape
#
# Choose a picture or upload your own, from a telephone for example: its EXIF orientation is obeyed. Drag the slider
# "wipe line at (%)": left of the line is before, right of it after. Save writes a PNG with the generator's name and
# hash among its text fields.

# %%
scenes = [orchard.render_pair(seed, size=70).a for seed in (100_013, 100_008)]
wide, coffee = (np.concatenate(scenes, axis=1) * 255).astype(np.uint8), skimage.data.coffee()
pictures = {"two scenes": wide, "coffee": coffee, "cat": skimage.data.chelsea()}
panel = TranslatePanel({"apples to oranges": generator_ab, "oranges to apples": generator_ba}, pictures)
panel

# %% [markdown]
# Behind it is `translate.apply`. It continues the picture by reflection to a size that the network can halve, scales to
# [-1, 1], calls the generator, scales back and crops. For a size that needs no padding, by hand:

# %%
panel.wait(120)
part = wide[:64, :128]
by_hand = (np.asarray(translate.any_size(generator_ab)(part[None] / np.float32(127.5) - 1))[0] + 1) * 127.5
assert np.abs(translate.apply(generator_ab, part) - by_hand).max() <= 0.501
wide_b, coffee_b = (translate.apply(generator_ab, picture, tile=None) for picture in (wide, coffee))
plots.grid([[wide, wide_b], [coffee, coffee_b]], scale=3, alt="Two apples become oranges; a cup of coffee stays one.")

# %% [markdown]
# The two scenes, 70 by 140 pixels, work: a convolution does not care about the shape. It does care about scale, and
# about what it has seen. The photograph shows nothing of an orchard, in which most fruit are 20 to 35 pixels wide, and
# the generator has nothing sensible to do with it: it paints parts of a red saucer orange.
#
# **Large pictures** are translated in overlapping tiles, so that memory does not grow with the picture. They are
# blended only where each tile is right: a margin as wide as the network's view is thrown away. Then tiles give what the
# whole picture gives, except for one thing: instance normalisation takes its mean and deviation from what it is shown,
# and a tile is not the picture. Here are both, the one without normalisation untrained, as its fresh weights show the
# same:

# %%
plain = models.build({**generator_ab.spec, "image_size": None, "normalization": "none"})
maps = {}
for name, generator in (("without normalisation", plain), ("with instance normalisation", generator_ab)):
    whole, tiled = (translate.apply(generator, coffee, tile=tile).astype(int) for tile in (None, 128))
    maps[name] = np.abs(whole - tiled).max(axis=-1)
    print(f"{name}: tiles differ from the whole by at most {maps[name].max()} levels")
assert maps["without normalisation"].max() <= 1
plot = plots.Plot(figsize=(8, 3), alt="Where tiles differ from the whole: nowhere, and, with normalisation, smoothly.")
for axis, (name, levels) in zip(plot.subplots(1, 2), maps.items(), strict=True):
    shown = axis.imshow(levels, cmap="viridis", vmin=0, vmax=max(1, maps["with instance normalisation"].max()))
    axis.set(xticks=[], yticks=[], title=name)
plot.colorbar(shown, ax=plot.axes, label="levels of 255")
plot

# %% [markdown]
# On the left nothing differs but, at most, a rounding. On the right the two disagree where something is painted, the
# more the tile's contrast differs from the picture's; but neighbouring tiles are mixed over a wide strip, and no seam
# shows.
#
# **A whole folder** goes by one command, which also makes a sheet of originals beside translations. In a shell, in the
# folder of the course: `.venv/bin/python -m labutils.translate FOLDER --generator orchard64-ab --out DIR
# --contact-sheet`. The same from here, on six scenes of different sizes:

# %%
source, target = (profile.home("runs", f"six-scenes-{lab.name}", name) for name in ("apples", "oranges"))
for number, side in enumerate((56, 64, 64, 72, 80, 96)):
    scene = plots.as_uint8(orchard.render_pair(200_000 + number, side).a)
    translate.save_png(source / f"scene-{number}.png", scene)
_ = translate.main([str(source), "--generator", "orchard64-ab", "--out", str(target), "--contact-sheet"])
Image(target / "contact-sheet.png", alt="Six scenes with apples, each beside its translation into oranges.")

# %% [markdown]
# ## Measure against the truth, and against doing little
#
# The orchard can draw the right answer for each held-out apple. Inside the mask, where fruit are, a translation should
# be near to it; outside, nothing should change. PSNR is -10 · log10 of the mean squared error of pictures in [0, 1],
# in decibels; higher is better. SSIM compares structure in windows of 7 pixels. A number means little alone, so here
# are two rivals that learned nothing: **the copy** hands the picture back, and **colour matching** shifts and
# stretches each colour channel until mean and contrast are those of the other domain.

# %%
rivals = {d: {"copy": metrics.copy, "colour matching": measure.colour_matching(root, d)} for d in generators}
for direction, generator in generators.items():
    for name, rival in (rivals[direction] | {"generator": generator}).items():
        print(f"{direction} {name}:")
        print("   ", {key: round(value, 2) + 0.0 for key, value in metrics.report(rival, root, direction).items()})

# %% [markdown]
# `gain` is what is won over the copy; 3 dB mean half the squared error. Colour matching wins little inside, because
# fruit are a small part of the picture, and it spoils the rest. (The copy leaves the rest as it is, to a rounding:
# hence its 175 dB or so. Its SSIM there is still below 1, as windows next to a fruit see the wrong one.)
#
# ## Without a truth: a judge
#
# Real photographs have no right answer. One way out is to train a small **classifier** on the training folders, A
# against B, and to ask how many translations it takes for the real thing. It has never seen a translation.

# %%
classifier = measure.DomainClassifier(lab.size).fit(root)
print(f"right about {classifier.accuracy(root):.1%} of the real held-out pictures")
real = pipeline.pictures(root, "testA", lab.size) / 2 + 0.5
fakes = {name: metrics.translated(rival, real) for name, rival in (rivals["ab"] | {"trained": generator_ab}).items()}
for name, fake in fakes.items():
    print(f"{name}: {classifier.accepts(fake, 'b'):.1%} taken for real oranges")

# %% [markdown]
# Acceptance is a necessary sign, not a sufficient one: the same perfect orange for every apple would be accepted, too,
# and what a classifier does not look at may be as wrong as it likes. (In the smoke profile it learned from 32 pictures,
# and its word is worth as much.)
#
# ## Without a truth: KID
#
# Another way out compares two *sets* of pictures. Describe each by what a network trained on ImageNet sees, and ask
# whether the two clouds of points could be one. The **Kernel Inception Distance** does so with the kernel
# k(x, y) = (x·y / channels + 1)³: the mean over pairs of different pictures within each set, less twice the mean
# between the sets. It is 0 on average for two samples of one distribution, so it may also come out negative. The
# customary network is Inception, an 88 MB download (`features_of(pictures, "inception")`); the course's own VGG
# features do as well, but numbers of different networks cannot be compared.
#
# The error is a **jackknife**: how much the value moves when each picture in turn is left out. And as 48 pictures are
# what a small study has, the figure draws 48 of each set a hundred times over: what could such a study have found?


# %%
def shown(pictures, count):
    return measure.features_of(pictures[:count])


random = np.random.default_rng(0)
oranges = shown(pipeline.pictures(root, "trainB", lab.size, limit=200) / 2 + 0.5, 200)
held_out = pipeline.pictures(root, "testB", lab.size, limit=100) / 2 + 0.5
points = {name: shown(pictures, 100) for name, pictures in ({"real, held out": held_out} | fakes).items()}
few = min(48, len(held_out) - 2)
plot = plots.Plot(figsize=(7, 2.6), alt="KID of 48 pictures, drawn 100 times: real oranges around 0, the fakes apart.")
axis = plot.subplots()
for row, (name, x) in enumerate(points.items()):
    value, error = measure.kid(x, oranges)
    draws = [measure.kid(*(random.permutation(p)[:few] for p in (x, oranges)))[0] for _ in range(100)]
    axis.scatter(draws, row + random.uniform(-0.25, 0.25, 100), s=8, color=plots.COLOURS[row])
    print(
        f"{name}: KID {value:.3f} ± {error:.3f} of all, {np.mean(draws):.3f} ± {np.std(draws):.3f} over draws of {few}"
    )
axis.axvline(0, color="0.5", linewidth=0.8)
axis.invert_yaxis()
axis.set(yticks=range(len(points)), yticklabels=points, xlabel=f"KID of {few} pictures")
plot

# %% [markdown]
# Held-out real oranges lie around zero, on both sides: that row is the ruler for all others. (With the pairs of 128
# pixels it lies a little above: there KID sees that training pictures were kept as JPEGs and test pictures as PNGs.)
# In the class profile, 48 pictures tell real from translated, and translated from untouched, in every single draw.
# They cannot tell whether colour matching is better than the copy: the two clouds overlap, and a study that drew once
# may have found either. Nor could they rank two trained generators that differ by less than a cloud is wide. Four
# times the pictures halve the width of the three lower clouds, and the ruler's even more. (The draws share pictures,
# so they spread a little less than fresh ones would.)
#
# ## A small cycle error proves nothing
#
# It is tempting to judge a CycleGAN by its cycle error, which needs no truth. Here is a caricature of how to cheat. One
# "generator" answers every apple with *some* orange, whichever comes, and adds the apple to it, fifty times fainter.
# The way back takes the orange away and turns the brightness up. This is **steganography**: a note that nobody sees.
# The test for it is to disturb the fake a little, and to cycle again.

# %%
any_orange = real_b[::-1]
cheats = {
    "caricature": (lambda a: any_orange + a / 50, lambda b: (b - any_orange) * 50),
    "trained": generators.values(),
}
noise = np.random.default_rng(0).normal(0, 0.02, real_a.shape).astype(np.float32)
rows, titles = [real_a], ["real_a"]
for name, (there, back) in cheats.items():
    fake = np.asarray(there(real_a))
    trips = [np.clip(back(fake), -1, 1), np.clip(back(fake + noise), -1, 1)]
    clean, disturbed = (127.5 * np.abs(trip - real_a).mean() for trip in trips)
    print(f"{name}: cycle error {clean:.2f} levels; with noise of 2.5 levels on the fake {disturbed:.2f}")
    rows, titles = rows + [fake, *trips], titles + [f"{name}: fake_b", "cycled_a", "… with noise"]
assert disturbed < 3 * clean + 1  # of the trained pair, which came last
plots.grid(rows, titles, alt="The caricature's way back is perfect until its fakes get a little noise.", black=-1)

# %% [markdown]
# The caricature's cycle error is 0, and its fakes are perfect oranges; just not of these apples. A little noise
# destroys the way back. The trained pair gets only a little worse: few notes, or none, as the apples that come back in
# another colour suggest. Long trainings do learn to write them. Either way, a cycle error says nothing about the
# oranges, and doing nothing at all has the smallest.
#
# ## A gallery of failures
#
# An average hides what goes wrong. So sort all held-out pictures by each measure, and look at the worst ten: by the
# error inside the fruit, by the error outside, by the classifier's doubt, by the cycle error.

# %%
errors = measure.errors(generator_ab, generator_ba, classifier, root, "ab")
gallery = measure.worst(errors, count=10)
print("correlation of fruit with", ", ".join(errors), np.corrcoef(list(errors.values()))[0].round(2), sep="\n")
rows = [pictures[worst] for worst in gallery.values() for pictures in (real, fakes["trained"])]
titles = [text for measure in gallery for text in (f"worst by {measure}", "translated")]
plots.grid(rows, titles, alt="Pairs of rows, an apple picture above its translation: the ten worst by each measure.")

# %% [markdown]
# Four measures, four kinds of failure. These are the shipped 64 px pair's, in the class profile (if your own pair was
# chosen above, you look at others): by *fruit*, red apples whose knobbly outline or whose stem stayed, and small ones
# that were overlooked; by *background*, orange or blurred patches on grass and sky, which no judge of fruit would
# notice; by the *classifier*, first some yellow apples that were hardly touched, because they are nearly oranges in
# colour (it had no great doubt of the last of its ten); by *cycle*, large red apples: what got lost is that they were
# red. The correlations say how much a measure knows of the error inside the fruit: cycle something, the others next to
# nothing. None stands for another.
#
# ## Hand it on
#
# To use a generator without this course, export it: a SavedModel for servers, a TFLite file for telephones. An export
# is only worth something if it computes the same, so its size, its time and its greatest difference come with it.

# %%
place = profile.home("runs", "exports")
print(export.saved_model(generator_ab, place / "apples-to-oranges", lab.size))
try:
    print(export.tflite(generator_ab, place / "apples-to-oranges.tflite", lab.size))
except RuntimeError as error:  # newer TensorFlow may come without the converter
    print(error)

# %% [markdown]
# Both are code as much as numbers, as a whole model is. Hand them on with their hash, and open only your own.
#
# ## Your own pictures
#
# The method wants two heaps of pictures that differ in one thing you can name: summer and winter, paintings and
# photographs, your garden by day and by dusk. It changes colours and textures well, shapes badly: a dog will not become
# a cat. The published sets have about a thousand pictures a heap, and a few hundred will do for a try. Two folders
# become a dataset by one command in a shell, in the folder of the course:
#
#     .venv/bin/python -m labutils.datasets prepare FOLDER_A FOLDER_B --root data/mine --size 286
#
# Lesson 3 trains on it with `root = profile.home("data", "mine")` in place of `root = published.ensure(lab)`. It
# refuses to continue the orchard's run: give `training.Run` another folder, such as `profile.home("runs", "mine")`. To
# go through this lesson with what it made, run these lines after the cell that chooses the best pair:
#
#     root, place = profile.home("data", "mine"), profile.home("runs", "mine", "generators")
#     generators = load_pair(place / "step-00003000")  # or another of the steps kept there
#
# Cells that need a truth then stop and say so (the measure against the truth; the gallery): go on with the cell after
# them. The round trips, the panel, the classifier, KID and the cycle error do without.
#
# For the paper's horses and zebras, or for Monet, on a machine with a GPU:
#
#     make setup GPU=1
#     .venv/bin/python -m labutils.datasets download horse2zebra
#     .venv/bin/python -m labutils.datasets download monet2photo
#     LAB_PROFILE=full make lab
#
# Then in lesson 3, after `lab = profile.load()`, put the line that this cell prints. An epoch passes the larger folder
# once, so the plans differ in steps.

# %%
for name in ("horse2zebra", "monet2photo"):
    facts = published.DATASETS[name]
    epoch = max(facts.counts[:2])
    print(f"{facts.domain_a} and {facts.domain_b}, {facts.bytes / 1e6:.0f} MB, 200 epochs of {epoch:,} pictures:")
    print(f'  lab = dataclasses.replace(lab, dataset="{name}", steps={200 * epoch}, constant_steps={100 * epoch})')

# %% [markdown]
# ## Summary
#
# - Weights and a card travel safely; whole models from strangers do not.
# - A convolutional generator takes any shape, and is at home only at the scale it learned.
# - With truth, measure against it, and against rivals that learned nothing.
# - Without truth, a classifier and KID tell bad from good, with an error that depends on how many pictures you have.
# - A cycle error alone proves nothing. Sort by every measure, and look at the worst.
#
# ## Exercises
#
# ### Exercise 1 — back to a picture
#
# A generator returns numbers in [-1, 1]. Write the way back to uint8 in [0, 255], rounded to the nearest level. Sums of
# pictures may lie a little outside: what is below -1 becomes 0, and what is above 1 becomes 255.


# %%
def to_picture(values):
    ### BEGIN SOLUTION
    return np.clip(np.round((values + 1) * 127.5), 0, 255).astype(np.uint8)
    ### STAND-IN
    # return np.zeros(np.shape(values), np.uint8)  # your code here
    ### END SOLUTION


check("4-to-picture", to_picture)

# %% [markdown]
# ### Exercise 2 — PSNR inside a mask
#
# Write the PSNR of a picture against the truth, both in [0, 1] with shape (height, width, 3), counting only the
# pixels where `mask` (height, width) is 1.


# %%
def masked_psnr(image, truth, mask):
    ### BEGIN SOLUTION
    error = ((image - truth) ** 2 * mask[..., None]).sum() / (3 * mask.sum())
    return -10 * np.log10(error)
    ### STAND-IN
    # return 0.0  # your code here
    ### END SOLUTION


check("4-masked-psnr", masked_psnr)

# %% [markdown]
# ### Exercise 3 — the nearest right answer
#
# An orange may have been a red, a green or a yellow apple. Given a translation and a list of right answers, return
# the index of the one with the least squared error.


# %%
def nearest(fake, truths):
    ### BEGIN SOLUTION
    return int(np.argmin([((fake - truth) ** 2).sum() for truth in truths]))
    ### STAND-IN
    # return 0  # your code here
    ### END SOLUTION


check("4-nearest", nearest)

# %% [markdown]
# ### Exercise 4 — pad to a multiple
#
# How many rows must be added to a picture of `height` rows so that it can be halved `levels` times?


# %%
def rows_to_add(height, levels):
    ### BEGIN SOLUTION
    return -height % 2**levels
    ### STAND-IN
    # return 0  # your code here
    ### END SOLUTION


check("4-pad", rows_to_add)

# %% [markdown]
# ### Exercise 5 — KID
#
# Write the value of `measure.kid` for two sets of points, `x` with shape (n, channels) and `y` (m, channels): the mean
# kernel over all pairs of *different* points of `x`, the same for `y`, less twice the mean over all pairs of one of
# each. The kernel is (x·y / channels + 1)³.


# %%
def kid(x, y):
    ### BEGIN SOLUTION
    def kernel(p, q):
        return (p @ q.T / p.shape[1] + 1) ** 3

    def within(p):
        return (kernel(p, p).sum() - np.trace(kernel(p, p))) / (len(p) * (len(p) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()
    ### STAND-IN
    # return 0.0  # your code here
    ### END SOLUTION


check("4-kid", kid)

# %% [markdown]
# ## Further reading
#
# - Chu, Zhmoginov, Sandler (2017), *CycleGAN, a Master of Steganography*: the hidden notes.
# - Bińkowski et al. (2018), *Demystifying MMD GANs*: KID, and why it is unbiased where FID is not.
# - Wang et al. (2004), *Image Quality Assessment: From Error Visibility to Structural Similarity*: what PSNR misses.
# - Reinhard et al. (2001), *Color Transfer between Images*: how far matching colours goes.
