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
# and asks how good the results are.
#
# **What you will be able to do**
#
# - load a generator from weights and a card, and say why a whole saved model is not something to accept from strangers;
# - translate A→B→A and B→A→B, single photographs of any shape, and folders;
# - measure a translation against the truth, and tell why a small cycle error proves nothing.
#
# **Before you start:** lesson 3, or just its idea: this lesson brings trained generators along. **Time:** 45
# minutes.

# %%
import dataclasses
import json

import numpy as np
import skimage.data

from labutils import metrics, plots, profile, translate
from labutils.checks import check
from labutils.datasets import folder, orchard, pipeline, public

lab = profile.load()
print(f"Profile {lab.name}: {lab.cost}.")

# %% [markdown]
# ## Load two generators
#
# The course ships a pair trained with lesson 3's code, for apples and oranges at 64 px. So this lesson uses the
# orchard at that size, whatever the profile. A generator is two files. The card is a text that says how the
# network is built, what it was trained on and how well it does.

# %%
shipped = {direction: profile.home("pretrained", f"orchard64-{direction}") for direction in ("ab", "ba")}
card = json.loads(shipped["ab"].with_suffix(".json").read_text())
lab = dataclasses.replace(lab, dataset=card["data"], size=card["size"])
root = public.ensure(lab)
for key, value in card.items():
    print(f"{key}: {value}")

# %% [markdown]
# `load_generator` builds the network from the card's `spec` with the course's own code, compares the SHA-256 of
# the weight file with the card's, and fills the numbers in.

# %%
generator_ab = translate.load_generator(shipped["ab"])
generator_ba = translate.load_generator(shipped["ba"])
print(f"{generator_ab.name}: {generator_ab.count_params():,} numbers")

# %% [markdown]
# Why not one file with everything? Older tutorials save a whole model (`model.save("g.h5")`) and load it with
# `custom_objects`, a list of the layers that Keras does not know. Such a file also says which *code* to build, and
# parts of it can be code: whoever opens it runs what the sender put in. Numbers cannot do that. And numbers load
# in every version of Keras, which whole models do not.
#
# To use your own generators from lesson 3, load the newest pair in its `generators` folder. This cell finds it if
# it is there; put `mine` into the next cells to see how yours does.

# %%
kept = sorted(profile.home("runs", f"lesson3-{lab.name}", "generators").glob("*-ab.json"))
mine = {}
if kept:
    newest = kept[-1].stem.removesuffix("-ab")
    mine = {d: translate.load_generator(kept[-1].with_name(f"{newest}-{d}")) for d in ("ab", "ba")}
print(f"Your own: {newest if mine else 'not trained yet, the shipped pair will do'}")

# %% [markdown]
# ## There and back
#
# Apples to oranges and back, then oranges to apples and back, on pictures that were not trained on. Pictures go in
# and come out as numbers in [-1, 1].

# %%
real_a = pipeline.pictures(root, "testA", lab.size, limit=6)
real_b = pipeline.pictures(root, "testB", lab.size, limit=6)
fake_b, fake_a = generator_ab(real_a), generator_ba(real_b)
cycled_a, cycled_b = generator_ba(fake_b), generator_ab(fake_a)
plots.grid(
    [real_a, fake_b, cycled_a],
    row_titles=["real_a", "fake_b", "cycled_a"],
    alt="Six test pictures of apples, the oranges made of them, and the apples made of those again.",
)

# %%
plots.grid(
    [real_b, fake_a, cycled_b],
    row_titles=["real_b", "fake_a", "cycled_b"],
    alt="Six test pictures of oranges, the apples made of them, and the oranges made of those again.",
)

# %% [markdown]
# Look at the apples' round trip: a red apple may come back green. An orange does not say which apple it was, and
# these small generators were not trained long enough to remember it for each other.
#
# ## From the archive of the older tutorials
#
# Older tutorials keep a dataset as one NumPy archive with two arrays. Lesson 1 made one; here it is read back and
# translated.

# %%
archive = folder.to_npz(root, profile.home("data", f"{root.name}-test.npz"), size=lab.size, merge_test=True)
pictures_a, pictures_b = folder.from_npz(archive)
from_archive = translate.to_uint8(generator_ab(pictures_a[:1] / np.float32(127.5) - 1))
print(f"{len(pictures_a)} + {len(pictures_b)} pictures; one translated: {from_archive.shape}, {from_archive.dtype}")

# %% [markdown]
# ## Identity
#
# The generator that makes oranges is given an orange. It should leave it alone, and the mean difference, in grey
# levels out of 255, says how nearly it does.

# %%
same_b = generator_ab(real_b)
levels = 127.5 * np.abs(same_b - real_b).mean()
changed = 127.5 * np.abs(fake_b - real_a).mean()
assert levels < changed
print(f"an orange is changed by {levels:.2f} levels, an apple by {changed:.2f}")

# %% [markdown]
# ## Any picture, any shape
#
# `translate.apply` takes a picture of any height and width. It continues the picture by reflection to a size that
# the network can halve, and crops the result back. Here are two scenes of the orchard, drawn a little larger and put
# side by side.

# %%
scenes = [orchard.render_pair(seed, size=70).a for seed in (100_013, 100_008)]
wide = (np.concatenate(scenes, axis=1) * 255).astype(np.uint8)
wide_b = translate.apply(generator_ab, wide)
assert wide_b.shape == wide.shape == (70, 140, 3)
plots.grid(
    [[wide, wide_b]],
    column_titles=["70 × 140 picture", "translated"],
    alt="A wide picture of a green and a red apple, and its translation into two oranges, of the same shape.",
    scale=3,
)

# %% [markdown]
# Inside, `apply` scales to [-1, 1], calls the generator and scales back. For a size that needs no padding, by
# hand:

# %%
picture = translate.to_uint8(real_a[0])
by_hand = (np.asarray(generator_ab(picture[None] / np.float32(127.5) - 1))[0] + 1) * 127.5
assert np.abs(translate.apply(generator_ab, picture) - by_hand).max() <= 0.501

# %% [markdown]
# The network learned at 64 px, where fruit are 20 to 35 pixels wide. At another scale it does worse: a network
# knows sizes, too. On a photograph it has never seen the like of, it has nothing sensible to do:

# %%
coffee = skimage.data.coffee()
coffee_b = translate.apply(generator_ab, coffee)
assert coffee_b.shape == coffee.shape
plots.grid(
    [[coffee, coffee_b]],
    column_titles=["a photograph", "translated to oranges"],
    alt="A photograph of a cup of coffee, and what the apple to orange generator makes of it.",
    scale=3,
)

# %% [markdown]
# Whole folders go the same way; files that are no pictures are listed and left out.

# %%
written, skipped = translate.apply_folder(generator_ab, root / "testA", profile.home("runs", f"translated-{lab.name}"))
assert len(written) == len(folder.files(root, "testA")) and not skipped
print(f"{len(written)} pictures written to {written[0].parent.name}/")

# %% [markdown]
# ## Measure
#
# The orchard can draw the right answer. PSNR compares the translation with it, inside the fruit; the baseline to
# beat is handing the picture back. Outside the fruit, nothing should change.

# %%
generators = {"ab": generator_ab, "ba": generator_ba}
reports = {direction: metrics.report(generator, root, direction) for direction, generator in generators.items()}
for direction, report in reports.items():
    print(direction, {key: round(value, 1) for key, value in report.items()})

# %% [markdown]
# `gain` is what the translation wins over copying, in decibels. 3 dB mean half the squared error. The shipped pair
# must beat the copy both ways, and keep the background:

# %%
assert reports["ab"]["gain"] > 2 and reports["ba"]["gain"] > 1
assert min(report["background_psnr"] for report in reports.values()) > 28

# %% [markdown]
# ## A small cycle error proves nothing
#
# It is tempting to judge a CycleGAN by its cycle error, which needs no truth. Compare the trained pair with a
# "generator" that does nothing.

# %%
trained_error = float(np.abs(cycled_a - real_a).mean())
nothing_error = float(np.abs(real_a - real_a).mean())
assert nothing_error < trained_error
print(f"cycle error: trained {trained_error:.3f}, doing nothing {nothing_error:.3f}")

# %% [markdown]
# Doing nothing wins, and translates nothing. There is a second way to a small error: in long trainings the generators
# learn to hide notes for each other in the fakes, faint patterns that say what the picture was. A test for notes is to
# disturb the fake by a noise that can hardly be seen. If much was hidden, the way back gets much worse.

# %%
noise = np.random.default_rng(0).normal(0, 0.02, fake_b.shape).astype(np.float32)
disturbed = generator_ba(fake_b + noise)
disturbed_error = float(np.abs(disturbed - real_a).mean())
assert disturbed_error > trained_error
print(f"cycle error {trained_error:.3f}; with noise of 2.5 grey levels on the fake {disturbed_error:.3f}")

# %% [markdown]
# Here it gets a little worse: few notes, or none, as the green apples above suggest. Either way, the number says
# little about how good the oranges are.

# %% [markdown]
# ## Summary
#
# - Weights and a card travel safely; whole models from strangers do not.
# - A convolutional generator takes any shape, and is at home only at the scale it learned.
# - With truth, measure against it and against copying. Without truth, look; a cycle error alone proves nothing.
#
# ## Exercises
#
# ### Exercise 1 — back to a picture
#
# A generator returns numbers in [-1, 1]. Write the way back to uint8 in [0, 255].


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
# ## Further reading
#
# - Chu, Zhmoginov, Sandler (2017), *CycleGAN, a Master of Steganography*: the hidden notes.
# - Wang et al. (2004), *Image Quality Assessment: From Error Visibility to Structural Similarity*: what PSNR misses.
