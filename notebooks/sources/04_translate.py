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
# A trained generator is a file of numbers. This lesson loads two of them and translates pictures both ways and back.
# Most of the time goes to the harder question: how good are the results, and how would you know?
#
# **What you will be able to do**
#
# - load a generator from weights and a card, and say why you should not open a stranger's whole model;
# - translate A→B→A and B→A→B, single photographs of any shape, and folders;
# - measure a translation with and without a right answer (a truth): PSNR, SSIM, baselines, a classifier, KID with its
#   error;
# - say why a small cycle error proves nothing, and find the failures without looking at every picture;
# - export a generator, and train one on your own pictures.
#
# **Before you start:** lesson 3, or just its idea: trained generators come with the course. **Time:** 60 minutes.

# %% tags=["parameters"]
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
from labutils.extras import archive, export, folders
from labutils.figures import plots
from labutils.scenes import orchard

PROFILE = DATA = None  # None: the variables LAB_PROFILE and LAB_DATA, otherwise the class profile on the orchard

# %% [markdown]
# ## Load two generators
#
# The course ships pairs trained with lesson 3's code (`translate.shipped()` lists them): `orchard64`, loaded here, and,
# for 128 pixels, `orchard128-unet` and `orchard128-resnet`. A generator is two files, weights and a card. The card is a
# text that says how the network is built, what it was trained on and how well it does. `load_generator` builds the
# network from the card's `spec`, compares the SHA-256 of the weight file with the card's, and loads the weights. From
# here on, the lesson works at the size that these generators were trained for. (For data without a shipped pair, it
# loads the pair that you trained in lesson 3.)


# %%
def load_pair(place):
    return {direction: translate.load_generator(f"{place}-{direction}") for direction in ("ab", "ba")}


lab = profile.load(PROFILE, DATA)
print(lab)
a, b = published.domains(lab.dataset)
own = profile.home("runs", f"lesson3-{lab.label}", "generators", "chosen")
if lab.dataset == "orchard":
    pairs = {"shipped": load_pair(profile.home("pretrained", "orchard64"))}
else:
    pairs = {"yours": load_pair(own)}
(pair,) = pairs.values()
card = pair["ab"].card
own_size, lab = lab.size, dataclasses.replace(lab, size=card["size"])
root = published.ensure(lab)
for key, value in card.items():
    print(f"{key}: {value}")

# %% [markdown]
# Why not one file with everything, as older tutorials write it with `model.save("g.h5")`? Such a whole model also says
# which *layers* to build. That has two disadvantages:
#
# - A layer that Keras does not know must be given: `load_model("g.h5", custom_objects={"InstanceNormalization":
#   InstanceNormalization})`. With weights alone, code builds the network, and nothing must be looked up.
# - A whole model may hold a `Lambda` layer, which is Python code. Opening the file runs it.
#
# The same is true of `pickle` files. The next cell shows how little it takes:


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
# Here it was only `print`. It could have been anything that you may do on this computer. `load_generator` opens only
# HDF5 files whose hash is the card's. It reads only arrays of finite numbers, of the right shapes, stored in the file
# itself. Numbers cannot run, and they load in every version of Keras, which whole models do not.
#
# ## Yours, or the shipped one
#
# Lesson 3 chose one step for each direction. Which pair do we use now, yours or the shipped one? The test pictures
# judge the result below, so the validation scenes choose again. `gain` says how much nearer to the truth a translation
# is, inside the fruit, than the unchanged picture, in decibels (dB, explained below). Your pair is taken if it gains
# more than 1 dB both ways. Photographs have no such number: there your pair is taken, as lesson 3 chose it.

# %%
if own_size == lab.size and own.with_name("chosen-ba.json").exists():  # smaller in the smoke profile
    pairs["yours"] = load_pair(own)
chosen, scenes = "yours", published.validation(lab)
if scenes:
    gains = {name: [metrics.report(pair[d], scenes, d)["gain"] for d in pair] for name, pair in pairs.items()}
    for name, (gain_ab, gain_ba) in gains.items():
        print(f"{name:>7}: {a} to {b} {gain_ab:5.1f} dB, {b} to {a} {gain_ba:5.1f} dB")
    chosen = "yours" if min(gains.get("yours", [0])) > 1 or "shipped" not in gains else "shipped"
generators = pairs[chosen]
print(f"From here on: {chosen}." if scenes else "No truth here: the cell that measures against it prints nothing.")

# %% [markdown]
# ## There and back
#
# The next cell translates held-out pictures of A (apples) to B (oranges) and back, then held-out pictures of B to A and
# back. Generators take and return numbers in [-1, 1]. The last row is the identity: `generator_ba`, which makes apples,
# gets an apple and should not change it. The second cell makes the same round trips from the archive of older
# tutorials: a dataset as two arrays of bytes in one NumPy file.

# %%
generator_ab, generator_ba = generators["ab"], generators["ba"]
real_a, real_b = (pipeline.pictures(root, f"test{domain}", lab.size, limit=6) for domain in "AB")
fake_b, fake_a = generator_ab(real_a), generator_ba(real_b)
cycled_a, cycled_b = generator_ba(fake_b), generator_ab(fake_a)
same_a, same_b = generator_ba(real_a), generator_ab(real_b)
a_rows = {"real_a": real_a, "fake_b": fake_b, "cycled_a": cycled_a, "same_a": same_a}
b_rows = {"real_b": real_b, "fake_a": fake_a, "cycled_b": cycled_b, "same_b": same_b}
for rows, part in (a_rows, "testA"), (b_rows, "testB"):
    alt, credits = f"Six pictures of {part}, translated, back again, and the identity.", plots.credits(root, part)
    grid = plots.grid(list(rows.values()), list(rows), alt=f"Six round trips: {alt}", caption=credits, black=-1)
    display(grid)
    real = rows.pop("real_a" if "real_a" in rows else "real_b")
    print({name: f"{127.5 * np.abs(other - real).mean():.1f} levels" for name, other in rows.items()})

# %%
assert not scenes or np.abs(same_b - real_b).mean() < np.abs(fake_b - real_a).mean()
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
    alt="Three pictures of A and three of B from the archive, translated, and translated back.",
    black=-1,
)

# %% [markdown]
# The numbers say by how many grey levels of 255 the average pixel differs from the real picture. A fruit of the right
# kind is hardly changed. On the round trip a red apple may come back green or yellow, because an orange does not say
# which apple it was. Only a hidden note could say it.
#
# ## One photograph, any shape
#
# Choose a picture or upload your own. A telephone's photograph is turned upright, as its EXIF orientation says. Drag
# the slider "wipe line at (%)": the original is left of the line, the translation right of it. Save writes a PNG file;
# the generator's name and hash are among its text fields.

# %%
apples = [orchard.render_pair(seed, size=70).a for seed in (100_013, 100_008)]
two = apples if lab.dataset == "orchard" else real_a[:2] / 2 + 0.5
wide, coffee = (np.concatenate(two, axis=1) * 255).astype(np.uint8), skimage.data.coffee()
pictures = {"two pictures": wide, "coffee": coffee, "cat": skimage.data.chelsea()}
panel = TranslatePanel({f"{a} to {b}": generator_ab, f"{b} to {a}": generator_ba}, pictures)
panel

# %% [markdown]
# The panel calls `translate.apply`. It pads the picture by reflection to a size that the network can halve, scales to
# [-1, 1], calls the generator, scales back and crops. The next cell does it by hand, for a size that needs no padding:

# %%
panel.wait(120)
part = wide[:64, :128]
by_hand = (np.asarray(translate.any_size(generator_ab)(part[None] / np.float32(127.5) - 1))[0] + 1) * 127.5
assert np.abs(translate.apply(generator_ab, part) - by_hand).max() <= 0.501
wide_b, coffee_b = (translate.apply(generator_ab, picture, tile=None) for picture in (wide, coffee))
plots.grid([[wide, wide_b], [coffee, coffee_b]], scale=3, alt="Two pictures of A and a coffee cup, translated.")

# %% [markdown]
# The two scenes, 70 by 140 pixels, work, because a convolution takes any shape. But scale matters, and so does what the
# generator has seen. In the orchard most fruit are 20 to 35 pixels wide. The photograph shows no orchard, so the
# generator does nothing sensible: it paints parts of a red saucer orange.
#
# **Large pictures** are translated in overlapping tiles, so that memory does not grow with the picture. Each tile's
# margin, as wide as the network's view, is thrown away, and the rest is blended. Then tiles give what the whole picture
# gives, with one exception: instance normalisation. It takes mean and deviation from its input, and a tile's are not
# the picture's. The next cell compares both; the generator without normalisation is untrained, because fresh weights
# show the same.

# %%
plain = models.build({**generator_ab.spec, "image_size": None, "normalization": "none"})
maps = {}
for name, generator in (("without normalisation", plain), ("with instance normalisation", generator_ab)):
    whole, tiled = (translate.apply(generator, coffee, tile=tile).astype(int) for tile in (None, 128))
    maps[name] = np.abs(whole - tiled).max(axis=-1)
    print(f"{name}: tiles differ from the whole by at most {maps[name].max()} levels")
assert maps["without normalisation"].max() <= 1
plot = plots.Plot(figsize=(8, 3), alt="Tiles minus whole: zero without normalisation, smooth patches with it.")
for axis, (name, levels) in zip(plot.subplots(1, 2), maps.items(), strict=True):
    shown = axis.imshow(levels, cmap="viridis", vmin=0, vmax=max(1, maps["with instance normalisation"].max()))
    axis.set(xticks=[], yticks=[], title=name)
plot.colorbar(shown, ax=plot.axes, label="levels of 255")
plot

# %% [markdown]
# On the left nothing differs, except by a rounding. On the right the two differ where something is painted, and more
# where the tile's contrast differs more from the picture's. No seam shows, because neighbouring tiles are blended over
# a wide strip.
#
# **A whole folder** is translated by one command, which also makes a sheet of originals beside translations. In a
# terminal, in the folder of the course:
#
#     .venv/bin/python -m labutils.extras.folders FOLDER --generator orchard64-ab --out DIR --contact-sheet
#
# The next cell does the same for six scenes of different sizes.

# %%
source, target = (profile.home("runs", f"six-scenes-{lab.name}", name) for name in ("apples", "oranges"))
for number, side in enumerate((56, 64, 64, 72, 80, 96)):
    scene = plots.as_uint8(orchard.render_pair(200_000 + number, side).a)
    translate.save_png(source / f"scene-{number}.png", scene)
_ = folders.main([str(source), "--generator", "orchard64-ab", "--out", str(target), "--contact-sheet"])
Image(target / "contact-sheet.png", alt="Six scenes with apples, each beside its translation into oranges.")

# %% [markdown]
# ## Measure against the truth, and against doing little
#
# The orchard can draw the right answer for each held-out apple. Inside the mask, where fruit are, a translation should
# be near to it. Outside, nothing should change. Two numbers measure this, and higher is better:
#
# - **PSNR** is -10 · log10 of the mean squared error of pictures in [0, 1], in decibels.
# - **SSIM** compares structure in windows of 7 pixels.
#
# A number means little alone, so here are two baselines that learned nothing:
#
# - The **unchanged input** is the picture itself; `copy_fruit_psnr` is its PSNR inside the fruit.
# - **Colour matching** shifts and stretches each colour channel until mean and contrast are those of the other domain.

# %%
matching = {d: measure.colour_matching(root, d) for d in generators}
rivals = {d: {"unchanged input": measure.unchanged, "colour matching": matching[d]} for d in generators}
for direction, generator in generators.items() if scenes else ():
    for name, rival in (rivals[direction] | {"generator": generator}).items():
        print(f"{direction} {name}:")
        print("   ", {key: round(value, 2) + 0.0 for key, value in metrics.report(rival, root, direction).items()})

# %% [markdown]
# `gain` is the PSNR inside the fruit minus that of the unchanged input; 3 dB mean half the squared error. Colour
# matching gains little inside, because fruit are a small part of the picture, and it spoils the rest. (The unchanged
# input has the right background, except for a rounding: hence about 175 dB. Its SSIM there is still below 1, because
# windows next to a fruit see the wrong fruit.)
#
# ## Without a truth: a judge
#
# Real photographs have no right answer. A small **classifier** can judge instead: train it on the training folders to
# tell A from B. It has never seen a translation. How many translations does it take for real oranges?

# %%
classifier = measure.DomainClassifier(lab.size).fit(root)
print(f"The classifier is right about {classifier.accuracy(root):.1%} of the real held-out pictures")
real = pipeline.pictures(root, "testA", lab.size) / 2 + 0.5
fakes = {name: metrics.translated(rival, real) for name, rival in (rivals["ab"] | {"trained": generator_ab}).items()}
for name, fake in fakes.items():
    print(f"{name}: {classifier.accepts(fake, 'b'):.1%} taken for real {b}")

# %% [markdown]
# Acceptance is necessary, but not sufficient. The same perfect orange for every apple would be accepted too. What the
# classifier does not look at may be wrong. (In the smoke profile it learned from 32 pictures, so do not trust it
# there.)
#
# ## Without a truth: KID
#
# Another way compares two *sets* of pictures. A network trained on ImageNet turns each picture into a point: could both
# clouds of points come from one distribution? The **Kernel Inception Distance** (KID) uses the kernel k(x, y) = (x·y /
# channels + 1)³. KID is the mean kernel over pairs of different pictures within each set, minus twice the mean between
# the sets. For two samples of one distribution it is 0 on average, so it may be negative.
#
# - **Network**: the usual one is Inception, an 88 MB download (`features_of(pictures, "inception")`). The course's VGG
#   features work as well, but values from different networks cannot be compared.
# - **Error**: a **jackknife** says how much the value moves when each picture in turn is left out.
# - **Figure**: a small study has 48 pictures. Draw 48 of each set a hundred times: what could such a study have found?


# %%
def shown(pictures, count):
    return measure.features_of(pictures[:count])


random = np.random.default_rng(0)
oranges = shown(pipeline.pictures(root, "trainB", lab.size, limit=200) / 2 + 0.5, 200)
held_out = pipeline.pictures(root, "testB", lab.size, limit=100) / 2 + 0.5
points = {name: shown(pictures, 100) for name, pictures in ({"real, held out": held_out} | fakes).items()}
few = min(48, len(held_out) - 2)
plot = plots.Plot(figsize=(7, 2.6), alt="KID of 48 pictures, drawn 100 times: real oranges around 0, fakes higher.")
axis = plot.subplots()
for row, (name, x) in enumerate(points.items()):
    value, error = measure.kid(x, oranges)
    draws = [measure.kid(*(random.permutation(p)[:few] for p in (x, oranges)))[0] for _ in range(100)]
    axis.scatter(draws, row + random.uniform(-0.25, 0.25, 100), s=8, color=plots.COLOURS[row])
    print(f"{name}: KID {value:.3f} ± {error:.3f} (all), {np.mean(draws):.3f} ± {np.std(draws):.3f} (draws of {few})")
axis.axvline(0, color="0.5", linewidth=0.8)
axis.invert_yaxis()
axis.set(yticks=range(len(points)), yticklabels=points, xlabel=f"KID of {few} pictures")
plot

# %% [markdown]
# Held-out real oranges lie around zero, on both sides: compare all other rows with this one. (With the 128 px pairs it
# lies a little above: training pictures are JPEGs, test pictures PNGs, and KID sees that.) What do 48 pictures tell, in
# the class profile?
#
# - They tell real from translated, and translated from unchanged, in every draw.
# - They cannot tell whether colour matching is better than the unchanged input. The two clouds overlap, and a study
#   that drew once may have found either.
# - They cannot rank two trained generators that differ by less than a cloud is wide.
# - Four times the pictures halve the width of the three lower clouds, and narrow the first one even more. (The draws
#   share pictures, so they spread a little less than fresh ones would.)
#
# ## A small cycle error proves nothing
#
# It is tempting to judge a CycleGAN by its cycle error, which needs no truth. The next cell cheats:
#
# - One "generator" answers every apple with *some* orange, and adds the apple to it, fifty times fainter.
# - The way back subtracts the orange and makes the rest fifty times brighter.
#
# Such a hidden note is called **steganography**. To test for it, disturb the fake a little, and cycle again.

# %%
any_orange = real_b[::-1]
cheats = {
    "cheat": (lambda a: any_orange + a / 50, lambda b: (b - any_orange) * 50),
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
assert not scenes or disturbed < 3 * clean + 1  # the trained pair: the last of the loop
plots.grid(rows, titles, alt="The cheat's way back is perfect until its fakes get a little noise.", black=-1)

# %% [markdown]
# The cheat's cycle error is 0, and its fakes are perfect oranges, but not of these apples. A little noise destroys the
# way back. The trained pair gets only a little worse, so it hides few notes or none; apples that come back in another
# colour suggest the same. Long trainings do learn to hide notes. In any case a cycle error says nothing about the
# oranges, and the unchanged input has the smallest.
#
# ## A gallery of failures
#
# An average hides what goes wrong. So sort all held-out pictures by each of four measures, and look at the worst ten.
# The measures are the error inside the fruit, the error outside, the classifier's doubt and the cycle error.

# %%
errors = measure.errors(generator_ab, generator_ba, classifier, root, "ab")
gallery = measure.worst(errors, count=10)
print("correlation of the first with", *errors, np.corrcoef(list(errors.values()))[0].round(2))
rows = [pictures[worst] for worst in gallery.values() for pictures in (real, fakes["trained"])]
titles = [text for measure in gallery for text in (f"worst by {measure}", "translated")]
plots.grid(rows, titles, alt="Pairs of rows, a picture of A above its translation: the ten worst by each measure.")

# %% [markdown]
# Four measures find four kinds of failure. For the shipped 64 px pair, in the class profile, they are (your own pair
# shows others):
#
# - *fruit*: red apples whose knobbly outline or stem stayed, and small ones that were overlooked;
# - *background*: orange or blurred patches on grass and sky, which no judge of fruit would notice;
# - *classifier*: first some yellow apples that were hardly changed, because their colour is nearly an orange's (the
#   last of its ten raised no great doubt);
# - *cycle*: large red apples, whose red got lost.
#
# The correlations say how much a measure knows of the error inside the fruit: cycle something, the others next to
# nothing. So no measure replaces another.
#
# ## Hand it on
#
# To use a generator without this course, export it: a SavedModel for servers, a TFLite file for telephones. An export
# must compute the same as the original. So the next cell prints its size, its time and its greatest difference.

# %%
place = profile.home("runs", "exports")
print(export.saved_model(generator_ab, place / "apples-to-oranges", lab.size))
try:
    print(export.tflite(generator_ab, place / "apples-to-oranges.tflite", lab.size))
except RuntimeError as error:  # newer TensorFlow may come without the converter
    print(error)

# %% [markdown]
# Both files hold code, as a whole model does. Hand them on with their hash, and open only your own.
#
# ## Your own pictures
#
# The method needs two folders of pictures that differ in one thing you can name: summer and winter, paintings and
# photographs, your garden by day and by dusk. It changes colours and textures well, shapes badly: a dog will not become
# a cat. The published sets have about a thousand pictures a folder; a few hundred will do for a try. In a terminal, in
# the folder of the course, this command makes a dataset of two folders:
#
#     .venv/bin/python -m labutils.datasets prepare FOLDER_A FOLDER_B --root data/mine --size 286
#
# Lessons 3 and 4 then run as they are, on your pictures:
#
#     LAB_DATA=data/mine make lab
#
# Photographs get another recipe than rendered scenes: no mask, discriminators that learn at the generators' rate, and
# 5,000 steps in the class profile. Cells that need a truth say so and go on. To train without a notebook, in a
# terminal: `.venv/bin/python -m labutils.train --help`.
#
# For the paper's horses and zebras, or for Monet, on a machine with a GPU:
#
#     make setup GPU=1
#     .venv/bin/python -m labutils.datasets download horse2zebra
#     .venv/bin/python -m labutils.datasets download monet2photo
#     LAB_PROFILE=full LAB_DATA=horse2zebra make lab
#
# Then put one of the lines that the next cell prints into lesson 3, after `lab = profile.load(...)`. An epoch passes
# the larger folder once, so the numbers of steps differ.

# %%
for name in ("horse2zebra", "monet2photo"):
    facts = published.DATASETS[name]
    epoch = max(facts.counts[:2])
    print(f"{facts.domain_a} and {facts.domain_b}, {facts.bytes / 1e6:.0f} MB, 200 epochs of {epoch:,} pictures:")
    print(f"  lab = dataclasses.replace(lab, steps={200 * epoch}, constant_steps={100 * epoch})")

# %% [markdown]
# ## Summary
#
# - Weights with a card are safe to open; a stranger's whole model is not.
# - A convolutional generator takes any shape, but works well only at the scale it learned.
# - With a truth, measure against it, and against baselines that learned nothing.
# - Without a truth, a classifier and KID tell bad from good. Their error depends on how many pictures you have.
# - A cycle error alone proves nothing. Sort by every measure, and look at the worst pictures.
#
# ## Exercises
#
# ### Exercise 1 — back to a picture
#
# A generator returns numbers in [-1, 1]. Convert them to uint8 in [0, 255], rounded to the nearest level. Some values
# may lie a little outside: what is below -1 becomes 0, and what is above 1 becomes 255.


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
# Write the PSNR of a picture against the truth, both in [0, 1] with shape (height, width, 3). Count only the pixels
# where `mask` (height, width) is 1.


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
# For an orange, a red, a green and a yellow apple are all right. Given a translation and a list of right answers,
# return the index of the one with the least squared error.


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
# Write the value of `measure.kid` for two sets of points, `x` with shape (n, channels) and `y` (m, channels). Add the
# mean kernel over all pairs of *different* points of `x` and the same for `y`. Subtract twice the mean over all pairs
# of one point of `x` and one of `y`. The kernel is (x·y / channels + 1)³.


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
