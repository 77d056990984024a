# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Lesson 3: training a CycleGAN
#
# Two generators, two discriminators, and no right answers to copy. In this lesson you train them, watch, and change
# settings while they learn. Then you break the training on purpose, to learn how each mistake looks.
#
# **What you will be able to do**
#
# - compute the four losses by hand, and say what each one prevents;
# - write one training step, and know why the discriminators are shown old pictures;
# - start, steer, pause, stop and resume a training that runs in the background;
# - recognise five classic mistakes by their pictures, and diagnose a training that has gone wrong;
# - choose a checkpoint by looking, and know what the paper's recipe costs on a GPU.
#
# **Before you start:** lessons 1 and 2. **Time:** 90 minutes. For about 16 of them something trains in the
# background: your own run, and up to three mistakes, four minutes each.

# %% tags=["parameters"]
import warnings

import numpy as np
from IPython.display import Image, display

from labutils import cyclegan, datasets, losses, measure, metrics, models, profile, published, samples, speed, training
from labutils.base import files
from labutils.checks import check
from labutils.dashboard import TrainingPanel
from labutils.datasets import pipeline
from labutils.figures import plots
from labutils.scenes import orchard

import tensorflow as tf  # isort: skip

speed.share_cores()  # on two cores: one for each direction
PROFILE = DATA = None  # None: the variables LAB_PROFILE and LAB_DATA, otherwise the class profile on the orchard
print(profile.load(PROFILE, DATA))

# %% [markdown]
# ## Who wants what
#
# `generator_ab` turns A into B, and `generator_ba` turns B into A. `discriminator_b` looks at real and fake pictures
# of B, and scores every patch: 1 for real, 0 for fake. `discriminator_a` does the same for A. Names in this course
# say what a picture is:
#
# - `real_a` comes from the dataset, and `fake_b` is its translation;
# - `cycled_a` is `fake_b` translated back to A;
# - `same_a` is the output of the generator that makes A, for the input `real_a`. The two should be equal.
#
# ## Four losses by hand
#
# Four pictures of two pixels each are enough. One pixel is a fruit, the other a grey wall, in [-1, 1].

# %%
real_a = np.array([[0.8, -0.6, -0.6], [0.0, 0.0, 0.0]], np.float32)
fake_b = np.array([[0.8, 0.2, -0.8], [0.0, 0.1, 0.0]], np.float32)
cycled_a = np.array([[0.7, -0.3, -0.6], [0.0, 0.0, 0.2]], np.float32)
same_a = np.array([[0.8, -0.6, -0.6], [0.0, 0.0, 0.6]], np.float32)
four, names = [real_a, fake_b, cycled_a, same_a], ["real_a", "fake_b", "cycled_a", "same_a"]
plots.grid([[x[None] for x in four]], None, names, alt="Fruit red, orange, paler red, red; last wall blue", black=-1)

# %% [markdown]
# - **Adversarial loss.** Say `discriminator_b` scores four patches of `fake_b` 0.9, 0.2, 0.0 and 0.5. The generator
#   wants ones. The least-squares form is the mean squared distance from what it wants.
# - **Discriminator loss.** The discriminator wants zeros for the fake and ones for a real picture of B. It has
#   scored the real picture 0.8, 1.0, 1.0 and 0.6. Its loss is the mean of these two parts.
# - **Cycle loss:** the mean absolute difference of `real_a` and its round trip `cycled_a`, here over six numbers.
# - **Identity loss:** the mean absolute difference of `real_a` and `same_a`, from the generator *to its own domain*.

# %%
adversarial = (0.1**2 + 0.8**2 + 1.0**2 + 0.5**2) / 4
discriminator = ((0.9**2 + 0.2**2 + 0.0**2 + 0.5**2) / 4 + (0.2**2 + 0.0**2 + 0.0**2 + 0.4**2) / 4) / 2
cycle = (0.1 + 0.3 + 0.0 + 0.0 + 0.0 + 0.2) / 6
identity = (0.0 + 0.0 + 0.0 + 0.0 + 0.0 + 0.6) / 6
print(f"adversarial {adversarial:.3f}, discriminator {discriminator:.4f}, cycle {cycle:.2f}, identity {identity:.2f}")

# %% [markdown]
# The first two use the same scores of the fake but want opposite values: what lowers one loss raises the other. The
# last two are equal for different reasons. The round trip lost a little in three values, while `same_a` has a blue
# wall.
#
# Two functions are enough for all four:


# %%
def adversarial_loss(scores, real):
    return tf.reduce_mean((scores - float(real)) ** 2)


def absolute_loss(real, other):
    return tf.reduce_mean(tf.abs(real - other))


# %%
# labutils.losses has one function for each loss. All must agree with the values computed by hand.
scores, real_scores = np.array([0.9, 0.2, 0.0, 0.5]), np.array([0.8, 1.0, 1.0, 0.6])
np.testing.assert_allclose([adversarial_loss(scores, real=True), losses.adversarial(scores, real=True)], adversarial)
np.testing.assert_allclose(losses.discriminator(real_scores, scores), discriminator)
np.testing.assert_allclose([absolute_loss(real_a, cycled_a), losses.cycle(real_a, cycled_a)], cycle, rtol=1e-5)
np.testing.assert_allclose([absolute_loss(real_a, same_a), losses.identity(real_a, same_a)], identity, rtol=1e-5)

# %% [markdown]
# ## What each loss prevents
#
# Each loss catches one way to cheat. The cell renders four scenes of the orchard with their true translations. A
# function stands in for a trained `discriminator_b`: it knows the four true oranges and looks only at the fruit.
# (Walls have all colours in both domains, so no wall looks wrong.) Four pairs of generators, three of them cheats,
# are given by their outputs `fake_b`, `cycled_a` and `same_a`.

# %%
scenes = [orchard.render_pair(seed, 64) for seed in range(4)]
apples, oranges = (np.stack([getattr(scene, side) for scene in scenes]) * 2 - 1 for side in "ab")
fruit = np.stack([scene.mask for scene in scenes])[..., None]


def scores_of(picture):
    """Score a picture: near 1 if it has the fruit of any orange picture, near 0 if not."""
    distances = (abs(picture - oranges) * fruit).sum((1, 2, 3)) / (3 * fruit.sum((1, 2, 3)))
    return np.exp(-5 * distances.min())


favourite, its_apple = np.repeat(oranges[:1], 4, axis=0), np.repeat(apples[:1], 4, axis=0)
negative_b, negative_a = np.where(fruit > 0, oranges, -oranges), np.where(fruit > 0, apples, -apples)
pairs = {
    "do nothing": (apples, apples, apples),
    "one orange for all": (favourite, its_apple, apples),
    "negative walls": (negative_b, apples, negative_a),
    "the true translation": (oranges, apples, apples),
}

# %% [markdown]
# The figure shows two of the scenes under each pair, as in a training panel, and the three losses:

# %%
rows = {
    name: (
        float(losses.adversarial(np.array([scores_of(picture) for picture in fake_b]), real=True)),
        float(losses.cycle(apples, cycled_a)),
        float(losses.identity(apples, same_a)),
    )
    for name, (fake_b, cycled_a, same_a) in pairs.items()
}
titles = [f"{name}\nadversarial {a:.2f}\ncycle {c:.2f}\nidentity {i:.2f}" for name, (a, c, i) in rows.items()]
print("\n".join(title.replace("\n", ", ") for title in titles))
np.testing.assert_array_equal(np.array(list(rows.values())) > 0.1, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
plots.grid(
    [[side[i] for i in (1, 2) for side in (apples, *pair)] for pair in pairs.values()],
    row_titles=titles,
    column_titles=["real_a", "fake_b", "cycled_a", "same_a"] * 2,
    alt="Two scenes under four pairs of generators. Doing nothing leaves apples; one orange for all comes back as "
    "another scene; negative walls come back right, but show in same_a too; the true translation is right everywhere.",
    black=-1,
)

# %% [markdown]
# Each cheat is caught by exactly one loss; its other two losses are zero. Only the true translation satisfies all
# three.
#
# - **Adversarial** prevents doing nothing. A generator that does nothing has cycle and identity losses of 0, so only
#   this loss makes it change. (Yours will learn this cheat in its first hundreds of steps.)
# - **Cycle** prevents forgetting the input. One good orange for every apple would fool any discriminator.
# - **Identity** prevents changes that are undone on the way back: wall colours, brightness, a negative.
# - **The discriminator's** own loss prevents a discriminator that calls everything real. The adversarial loss would
#   then be 0 for every row above. The discriminator's own loss would be (0 + 1) / 2 = 0.5.
#
# ## One step, written out
#
# The cell makes the four networks of the profile, with new weights. The class profile's generators have a fourth
# output, which lesson 2's do not: a mask that says *where* to change the picture. Everywhere else the picture stays
# unchanged.

# %%
lab = profile.load(PROFILE, DATA)
root = published.ensure(lab)
tf.keras.utils.set_random_seed(0)
generator_ab, generator_ba, discriminator_a, discriminator_b = models.networks(lab)
(batch,) = pipeline.unpaired(root, lab.size).take(1)

# %% [markdown]
# The generators' loss is a weighted sum over both directions. The weights are the paper's: 1 (adversarial), 10
# (cycle) and 5 (identity). A discriminator's loss is the mean of its two errors: real pictures scored below 1, and
# fakes scored above 0.


# %%
def generators_loss(real_a, real_b):
    fake_b, fake_a = generator_ab(real_a), generator_ba(real_b)
    adversarial = adversarial_loss(discriminator_b(fake_b), real=True)
    adversarial += adversarial_loss(discriminator_a(fake_a), real=True)
    cycle = absolute_loss(real_a, generator_ba(fake_b)) + absolute_loss(real_b, generator_ab(fake_a))
    identity = absolute_loss(real_a, generator_ba(real_a)) + absolute_loss(real_b, generator_ab(real_b))
    return adversarial + 10 * cycle + 5 * identity


def discriminators_loss(real_a, real_b):
    fake_b, fake_a = generator_ab(real_a), generator_ba(real_b)
    total = 0.0
    for discriminator, real, fake in ((discriminator_a, real_a, fake_a), (discriminator_b, real_b, fake_b)):
        total += adversarial_loss(discriminator(real), real=True) / 2
        total += adversarial_loss(discriminator(fake), real=False) / 2
    return total


# %% [markdown]
# A step lowers the first loss with the generators' weights, and the second with the discriminators' weights. Both
# gradients are computed before any weight changes, so both use the same fakes. Here it is plain gradient descent.
# The training below uses Adam, which adds momentum and adapts the step size of every weight.


# %%
def one_step(real_a, real_b, rate=1e-3):
    players = [
        (generators_loss, generator_ab.trainable_variables + generator_ba.trainable_variables),
        (discriminators_loss, discriminator_a.trainable_variables + discriminator_b.trainable_variables),
    ]
    gradients = []
    for loss, variables in players:
        with tf.GradientTape() as tape:
            value = loss(real_a, real_b)
        gradients.append(tape.gradient(value, variables))
    for (_, variables), downhill in zip(players, gradients, strict=True):
        for variable, gradient in zip(variables, downhill, strict=True):
            variable.assign_sub(rate * gradient)


# %% [markdown]
# `CycleGAN.train_step` does the same in one compiled function. It makes the fakes once, and passes two pictures in
# one call where it can: four generator calls instead of the eight above. The cell starts both from the same weights
# and checks that they end at the same weights.

# %%
networks, copies = (generator_ab, generator_ba, discriminator_a, discriminator_b), models.networks(lab)
for network, copy in zip(networks, copies, strict=True):
    copy.set_weights(network.get_weights())
gan = cyclegan.CycleGAN(*copies, pool_size=0)
gan.compile(tf.keras.optimizers.SGD(1e-3), tf.keras.optimizers.SGD(1e-3))
logs = gan.train_step(batch)
by_cells = float(generators_loss(*batch)), float(discriminators_loss(*batch))
by_model = float(logs["generators"]), float(logs["discriminator_a"] + logs["discriminator_b"])
np.testing.assert_allclose(by_cells, by_model, atol=1e-4)

one_step(*batch)
ours = [variable for network in networks for variable in network.trainable_variables]
for by_step, by_train_step in zip(ours, gan.generator_variables + gan.discriminator_variables, strict=True):
    np.testing.assert_allclose(by_step, by_train_step, atol=1e-6)
after = float(generators_loss(*batch)), float(discriminators_loss(*batch))
print(f"generators {by_cells[0]:.4f}, discriminators {by_cells[1]:.4f} before the step;")
print(f"generators {after[0]:.4f}, discriminators {after[1]:.4f} after it")

# %% [markdown] jp-MarkdownHeadingCollapsed=true
# ### The textbook recipe, and its trap (optional: unfold with the arrow on the left)
#
# Older tutorials do not write a training step. They chain the networks into a *composite model* with six outputs,
# and freeze the discriminators in it. Then they alternate: `predict` makes the fakes, and `train_on_batch` trains
# the composite and each discriminator. The losses are the same under other names. "mse" against a picture of ones is
# the adversarial loss, "mae" is the other two.


# %%
def composite(*networks):
    """Build a model of six outputs from two pictures; it shares its layers with ``networks``."""
    names = ("ab", "ba", "judge_a", "judge_b")  # names must differ within one model
    ab, ba, judge_a, judge_b = (
        tf.keras.Model(network.input, network.output, name=name) for network, name in zip(networks, names, strict=True)
    )
    judge_a.trainable = judge_b.trainable = False
    a, b = tf.keras.Input(ab.input_shape[1:]), tf.keras.Input(ba.input_shape[1:])
    fake_b, fake_a = ab(a), ba(b)
    model = tf.keras.Model([a, b], [judge_b(fake_b), judge_a(fake_a), ba(fake_b), ab(fake_a), ba(a), ab(b)])
    model.compile(
        tf.keras.optimizers.SGD(0.0), ["mse"] * 2 + ["mae"] * 4, loss_weights=[1, 1, 10, 10, 5, 5], run_eagerly=True
    )
    return model


real_a, real_b = batch
ones = tf.ones((1, *discriminator_a.output_shape[1:]))
textbook = composite(*networks)
by_textbook = textbook.train_on_batch([real_a, real_b], [ones, ones, real_a, real_b, real_a, real_b])[0]
np.testing.assert_allclose(by_textbook, after[0], rtol=1e-5)
print(f"textbook {by_textbook:.4f}, by our cells {after[0]:.4f}: the same loss")

# %% [markdown]
# The number is the same, but each batch makes the fakes twice and switches five times between Python and TensorFlow.
# The result also depends on the value of `trainable` at compile time. That is a trap for a discriminator that is
# frozen *after* its own `compile`:
#
# - With Keras 3 (TensorFlow 2.16 and later), `train_on_batch` never trains it. The loop runs to the end, but the
#   discriminators have learned nothing.
# - TensorFlow 2.15 trains it.
#
# The cell shows which case you have. With one batch before freezing, both train it.


# %%
def moves(batches_before):
    """Measure how far one batch moves the first weights of a discriminator that was frozen after ``compile``."""
    judge = models.patch_discriminator(32, filters=4, strides=(2, 2))
    judge.compile(tf.keras.optimizers.Adam(1e-3), "mse")
    pictures, target = tf.random.stateless_uniform((1, 32, 32, 3), (0, 0), -1, 1), tf.ones((1, 8, 8, 1))
    for _ in range(batches_before):
        judge.train_on_batch(pictures, target)
    judge.trainable = False
    before = judge.get_weights()[0]
    with warnings.catch_warnings(action="ignore"):  # Keras 3: "does not have any trainable weights"
        judge.train_on_batch(pictures, target)
    return float(abs(judge.get_weights()[0] - before).max())


keras_3 = int(tf.__version__.split(".")[1]) >= 16
never, mended = moves(0), moves(1)
print(f"TensorFlow {tf.__version__}, frozen after compile: weights moved by {never:.4f}; ", end="")
print(f"with one batch before freezing: {mended:.4f}")
assert (never == 0) == keras_3 and mended > 0

# %% [markdown]
# ## The pool: a memory for the discriminators
#
# A discriminator that sees only the newest fakes forgets older ones, and the generator returns to them. So every
# discriminator keeps a pool of generated pictures, 50 in the paper. Half of the time it is shown an old picture, and
# the new one takes its place. Here the "pictures" are step numbers, so we can read their age.

# %%
pool = cyclegan.ImagePool(50, (1, 1, 1), seed=0)
shown = []
for step in range(400):
    shown.append(pool.query(tf.fill((1, 1, 1, 1), float(step)), tf.constant(step, tf.int64)).numpy().item())
age = np.arange(400) - np.array(shown)
assert age[:50].max() == 0 and 0.4 < np.mean(age[50:] > 0) < 0.6
plots.curves(
    {"age of the picture shown": (range(400), age)},
    ylabel="steps",
    alt="The age of the picture a discriminator sees: 0 for fifty steps, then 0 or up to some hundreds.",
)

# %% [markdown]
# The pool fills for 50 steps. Then half of the pictures shown are new (age 0), and the rest can be hundreds of steps
# old. The class profile keeps 400, as many as it has training pictures in a domain. With a longer memory, a
# discriminator recognises more old fakes, and the generator jumps less between them.
#
# ## The learning rate
#
# The learning rate is constant for the first half, then falls in a straight line to zero. Large steps come first;
# small steps then refine. The paper takes 100 epochs for each half.

# %%
rate, total = tf.Variable(lab.learning_rate), tf.Variable(float(lab.steps))
schedule = training.LinearDecay(rate, total, float(lab.constant_steps))
steps = np.linspace(0, lab.steps, 50)
curve = {"learning rate": (steps, [float(schedule(step)) for step in steps])}
plots.curves(curve, ylabel="learning rate", alt="Level for the first half, then a line down to zero.")

# %% [markdown]
# ## Train
#
# A `Run` trains in a thread, so you can use this notebook meanwhile. It keeps its state in a folder and resumes from
# there, even after a power cut. The panel has:
#
# - **Start, Pause, Stop**, "more steps"; progress, steps per second, time left;
# - **sliders** for the three loss weights and the learning rate, which act on the next step. Every change is marked
#   on the curves and listed below them;
# - **pictures** for both directions: real, fake, cycled, same, and a heat map of the discriminator's scores for each
#   patch of the fake;
# - **curves** of the losses, and of how close the translations are to the orchard's truth, inside and outside the
#   fruit (PSNR in decibels: higher is closer);
# - a **browser of kept samples**, to look back at any earlier step.
#
# Two more settings of the class profile are not the paper's, because it has minutes where the paper has days. The
# loss weights are 1, 5 and 2. The discriminators learn at twice the generators' rate.

# %%
weights = cyclegan.LossWeights(**lab.loss_weights)
tf.keras.utils.set_random_seed(1)
gan = cyclegan.CycleGAN(*models.networks(lab), loss_weights=weights, pool_size=lab.pool_size)
run = training.Run(gan, root, lab, profile.home("runs", f"lesson3-{lab.label}"), seed=1)
run.start()  # what the button Start does; it returns at once
TrainingPanel(run)

# %% [markdown]
# Building the graph takes a few seconds before the first step. Read each row of pictures from the left: `real_a`,
# its translation `fake_b`, the discriminator's scores, the way back `cycled_a`, and `same_a`. Then comes the other
# direction. Expect three phases:
#
# - At first the pictures are wrong everywhere.
# - In some hundreds of steps the generators learn the cheat "do nothing".
# - Then colours come, first roughly, then in the right places.
#
# Keep the sliders for later: a change cannot be undone, and the results below were measured without one. To
# start again, delete the run's folder in `runs`, and run the cell above again. The next cell waits for the end of
# the run. If you want to read on meanwhile, run it later.

# %%
run.wait()
print(f"{run.state} at step {run.step}")

# %% [markdown]
# ## Why the curves tell little
#
# Generators and discriminators play against each other. When the generators get better, their adversarial loss
# falls. Then the discriminators learn, and it rises again. A *good* match has flat adversarial curves.

# %%
plots.curves(
    plots.loss_series(run.history),
    smooth=max(1, run.step // 30),
    alt="Losses over the run: after large changes at the start, adversarial and discriminator losses stay level.",
)

# %% [markdown]
# Only the cycle and identity losses have a meaningful minimum. A generator that does nothing has both at zero. So
# they fall at first, and *rise* when the translation begins. No curve here says "these are oranges". **Judge by the
# pictures.**
#
# ## What did it learn?
#
# The fixed test pictures are translated both ways and back:

# %%
pictures = run.sample()
plots.grid(
    list(pictures.values()), list(pictures), alt="Test pictures of A and B, translated, and translated back.",
    caption=plots.credits(root, "testA", "testB"),
)  # fmt: skip

# %% [markdown]
# The orchard knows the truth: every test scene was rendered as both fruit. So we can *measure* a translation by its
# PSNR in decibels (higher is better).
#
# - Inside the fruit: how close is it to the truth, and is it closer than the unchanged input?
# - Outside the fruit: did the background stay unchanged?
#
# Photographs have no such truth.

# %%
reports = {
    direction: metrics.report(generator, root, direction)
    for direction, generator in (("ab", run.gan.generator_ab), ("ba", run.gan.generator_ba))
    if datasets.truth_of(root)
}
for direction, report in reports.items():
    background = f"{report['background_psnr']:.1f} dB" if "background_psnr" in report else "none"  # in the meadow
    print(
        f"{direction}: fruit {report['fruit_psnr']:.1f} dB (unchanged input: {report['copy_fruit_psnr']:.1f} dB, "
        f"gain {report['gain']:+.1f} dB), background {background}"
    )
if not reports:
    print(f"{lab.dataset} has no truth: judge by looking here, and by lesson 4's classifier and KID.")
if reports and lab.name == "class" and not run.events and run.step == lab.steps:  # a whole run, with untouched sliders
    assert reports["ab"]["gain"] > 2 and reports["ba"]["gain"] > 1
    assert min(report["background_psnr"] for report in reports.values()) > 18

# %% [markdown]
# These results are from 3,000 steps of the class profile, on a machine with two cores (PSNR; background for seed 1):
#
# | direction | fruit, seed 1 | seeds 2 and 0 | unchanged input | background |
# |---|---|---|---|---|
# | apple to orange | 21.5 dB | 21.3 and 21.4 dB | 15.1 dB | 43 dB |
# | orange to apple | 19.0 dB | 19.3 and 19.6 dB | 17.2 dB | 52 dB |
#
# The change in the background is hard to see. An orange does not say which apple it was, so from orange to apple the
# truth is the *nearest* of three varieties. The smoke profile is far too short to learn anything.
#
# ## Continue a run
#
# The folder holds the last two checkpoints, the sample pictures by step, and the generators. After a run has ended
# or was stopped, a new `Run` on the same folder resumes it. Weights, optimizer, pool and place in the shuffled data
# are the same. (While one run trains, another on its folder is refused, because each would damage the other's
# files.) On a CPU a resumed run equals an unbroken one, bit for bit; the course's tests kill a run after every step
# to check this.

# %%
tf.keras.utils.set_random_seed(2)  # other first weights, which the weights in the folder must replace
twin = cyclegan.CycleGAN(*models.networks(lab), pool_size=lab.pool_size)
again = training.Run(twin, root, lab, run.directory, seed=1)
for ours, theirs in zip(again.gan.generator_variables, run.gan.generator_variables, strict=True):
    np.testing.assert_array_equal(ours, theirs)
print(f"resumes at step {again.step} of {again.target}")

# %% [markdown]
# ## Choosing a checkpoint by looking
#
# The last step is not always the best, and real photographs have no truth to measure with. So a run keeps sample
# pictures by step. The panel has a browser for them, and the cell shows them side by side. Each row is one test
# picture, each column a step.

# %%
found = list(files.by_step(run.directory / "samples", ".png").items())
found = [found[i] for i in np.unique(np.linspace(0, len(found) - 1, 7).astype(int))]
steps, kept = [f"step {step}" for step, _ in found], [samples.read(path) for _, path in found]
rows = {
    f"{name}\npicture {i + 1}": [sample[name][i] for sample in kept]
    for name in ("fake_b", "fake_a")
    for i in range(min(2, len(kept[0][name])))
}
plots.grid(
    list(rows.values()), list(rows), steps, alt="Fakes of four test pictures, step by step.",
    caption=plots.credits(root, "testA", "testB", limit=2),
)  # fmt: skip

# %% [markdown]
# Look for the step where the fruit are right *and* nothing else has begun to change. The run's folder `generators`
# keeps the generators of thirty steps (at most ten in the other profiles), and of each step where you stopped.
#
# ## Choosing a checkpoint by measuring
#
# Where the truth is known, we can choose by measuring, but not on the test pictures. The best of thirty steps *on
# them* is partly lucky, and its score would be too high. So we choose on other scenes, the **validation set**, and
# judge the choice on the test pictures. The directions may take different steps. Rendering the scenes and translating a
# hundred pictures with each of about sixty generators takes half a minute to two minutes. (Photographs have no truth.
# There the step is chosen by KID, which lesson 4 explains: how near translated training pictures come to real ones.)

# %%
scenes = published.validation(lab)  # None for photographs
found = measure.choose(run.directory / "generators", scenes or root)
best, unit = (max, "gain, dB") if scenes else (min, "KID")
print("chosen steps:", {direction: best(values, key=values.get) for direction, values in found.items()})
series = {direction: (list(values), list(values.values())) for direction, values in found.items()}
plots.curves(series, ylabel=unit, alt="On the orchard, from A to B the gain rises and levels off; back, it jumps.")

# %% [markdown]
# From apple to orange there is one right answer, so the gain rises and levels off. From orange to apple there are
# three: a red, a green and a yellow apple. The generator can give only one. When it makes most of them green, the
# discriminator rejects green, and soon there is too much of another colour. So it matters *when* you stop.
#
# Gains on the test pictures, mean of three seeds:
#
# - apple to orange: 6.3 dB, both at the last step and at the chosen one;
# - orange to apple: 2.2 dB at the last step, 2.6 dB at the chosen one.
#
# The chosen generators are kept as `chosen-ab` and `chosen-ba`. Lesson 4 translates with them, and judges them.
#
# **Now steer.** In the panel above press **More steps**, drag a slider, and watch a mark appear on the curves. What
# happens to the fruit without any adversarial weight? What happens to the walls without any identity weight? Without
# a mouse, `run.set("cycle", 5)` does the same. Nothing is recompiled: a loss weight is a `tf.Variable`, which the
# compiled step reads each time.
#
# ## Breaking it on purpose
#
# Each of five mistakes changes one setting. They are made on the paper's kind of generator, without the attention
# mask, because the mask hides mistakes. With it, 3,000 steps without identity loss (seed 0) still gained 5.9 dB (to
# the orange) and 2.6 dB (to the apple) on the validation set. Only `same_a` showed the mistake: yellow apples turned
# green.
#
# Discriminators that are *too strong* are hard to make on these small pictures. At ten times the usual rate their
# loss stayed at 0.23, and the oranges still became orange (measured). So the mistake weakens the generators instead,
# with an adversarial weight of 0.05.

# %%
from labutils.extras import mistakes

for name, change in mistakes.changes(lab).items():
    print(f"{name}: {change}")

# %% [markdown]
# Before you train one, say which column of pictures in the panel, or which curve, will show the mistake. Then write
# its name below. Each takes as long as your own run did, and trains in the background while you read on. If you do
# not want to wait, exercise 6 shows all five, already trained.

# %%
which = None  # or one of the names above
if which:
    experiment = mistakes.run(which, lab, root, profile.home("runs", f"{which}-{lab.label}".replace(" ", "-")))
    display(TrainingPanel(experiment))
    experiment.start()

# %% [markdown]
# ## Diagnosis
#
# - **A discriminator's loss at zero**, the generators' adversarial loss near 1, a dark heat map: the discriminators
#   have won, and teach little. Use a smaller discriminator (fewer filters, a smaller field), a lower rate for it, or
#   switch the pool on.
# - **NaN.** The run stops and says at which step. Find the loss that rose first. Lower the learning rate or that
#   loss's weight, then press Start: the run resumes from its last good checkpoint. On a GPU with `mixed_float16`,
#   check that losses and normalisation are float32.
# - **Inverted colours**: right shapes, negative colours, and a perfect way back. The cycle loss is fine, the
#   identity loss large. Use more identity weight from the first step on, or another seed.
# - **Checkerboards**, a fine regular grid on the fruit. They come from the generator's upsampling. Use
#   `upsampling="nearest"`, or a kernel that the stride divides.
# - **Nothing changes** for thousands of steps: cycle and identity near 0, adversarial high. Use less cycle and
#   identity weight. But a generator with a mask is like this for its first hundreds of steps, so wait first.
# - **All fakes alike**, and `cycled_a` is not `real_a`: use more cycle weight, or more varied data.
#
# A checkerboard appears even without training. A transposed convolution with stride 2 stamps its kernel on every
# second pixel. Here all weights and all inputs are 1, so an even result would be flat:

# %%
flat = tf.ones((1, 8, 8, 1))


def stamped(kernel):
    weights = tf.ones((kernel, kernel, 1, 1))
    return tf.nn.conv2d_transpose(flat, weights, (1, 16, 16, 1), strides=2, padding="SAME")[0, 3:-3, 3:-3, 0].numpy()


repeated = tf.nn.conv2d(tf.keras.layers.UpSampling2D()(flat), tf.ones((3, 3, 1, 1)), 1, "SAME")[
    0, 3:-3, 3:-3, 0
].numpy()
results = {"transposed, kernel 3": stamped(3), "transposed, kernel 4": stamped(4), "repeated, kernel 3": repeated}
assert [len(set(result.ravel())) for result in results.values()] == [3, 1, 1]
for name, result in results.items():
    print(f"{name}: sums of {sorted(set(result.ravel().tolist()))}")
plots.grid(
    [[np.dstack([result / result.max()] * 3) for result in results.values()]],
    column_titles=list(results),
    alt="Three upsampled flat fields: a checkerboard for a transposed convolution of kernel 3, flat for the others.",
)

# %% [markdown]
# A stride of 2 does not divide 3, so some pixels get one stamp, some two, some four. Kernel 4 starts even, but
# training may make it uneven. Repeating pixels and then convolving is always even, and this course's U-Nets do that.
# (A short training can still draw a grid: look for one on the fruit of exercise 6, sheet 1.)
#
# ## On a GPU, with real photographs
#
# The profile `full` is the paper's recipe: 256 px, ResNet-9 generators, 200 epochs of real photographs. To add the
# GPU's libraries, run `make setup GPU=1` once. Then start JupyterLab with `LAB_PROFILE=full make lab`. It downloads
# apple2orange; nothing else changes.
#
# What does a step cost? The cell counts multiply-adds, and the values that a step must keep for the backward pass, as
# lesson 2 does:

# %%
from labutils.measure import cost

devices = tf.config.list_physical_devices("GPU")
print(f"{len(devices)} GPUs found" if devices else f"No GPU: TensorFlow {tf.__version__} uses the processor.")
full = profile.load("full")
specs = ({**spec, "image_size": full.size} for spec in (full.generator, full.discriminator))
generator, discriminator = map(models.build, specs)
# six translations and six scorings, forward and twice that backward; a multiply-add is two operations
operations = 2 * 3 * 6 * sum(cost.multiply_adds(generator) + cost.multiply_adds(discriminator))
print(f"{operations / 1e12:.1f} million million operations a step, {full.steps} steps")
outputs = 6 * cost.values(generator) + 2 * cost.values(discriminator)
print(f"{outputs * 4 / 1e9:.1f} GB of layer outputs in float32, for one picture a step")
for name, rate in {"two CPU cores": operations / 4.3, "3 TFLOP/s": 3e12, "10 TFLOP/s": 1e13}.items():
    print(f"{name:>14}: {operations / rate:5.2f} s a step, {operations / rate * full.steps / 3600:4.0f} hours in all")

# %% [markdown]
# The 4.3 seconds a step on two cores were *measured*; the rest is *estimated* from the count:
#
# - **Rates:** what a card sustains in practice, well below its advertised speed. Measure yours with a hundred steps
#   of `fit`.
# - **Memory:** a lower bound. Weights and Adam's moments add some 0.4 GB, and the library's workspace comes on top.
# - **Time:** one to two days on a modest card, half a day on a good one. Two cores would take ten days, which is too
#   slow.
#
# **Half precision** (`mixed_float16`) halves the memory of those outputs and is fast on GPUs from compute capability
# 7.0. Convolutions then run in float16. Operations that add up many numbers stay in float32: the normalisation's
# statistics, the outputs and the losses. In the backward pass, float16 would round a pixel's small share of a mean
# to zero. So `train_step` multiplies gradients by 4096 first and divides by it at the end.
#
# Set the policy *before* the networks are built. (Without a GPU, TensorFlow warns that this will be slow.)

# %%
tf.keras.mixed_precision.set_global_policy("mixed_float16")
try:
    half_ab, half_ba, half_a, half_b = models.networks(lab)
finally:
    tf.keras.mixed_precision.set_global_policy("float32")
half_ab.set_weights(generator_ab.get_weights())
half_b.set_weights(discriminator_b.get_weights())
first = next(layer for layer in half_ab.layers if isinstance(layer, tf.keras.layers.Conv2D))
by_half = losses.adversarial(half_b(half_ab(batch[0])), real=True)
by_single = losses.adversarial(discriminator_b(generator_ab(batch[0])), real=True)
print(f"convolution {first.compute_dtype}, loss {by_half.dtype.name}: {by_half:.4f} against {by_single:.4f}")
assert first.compute_dtype == "float16" and by_half.dtype == by_single.dtype == tf.float32
np.testing.assert_allclose(by_half, by_single, rtol=0.02)
compiled = tf.function(generator_ab, jit_compile=True)
np.testing.assert_allclose(compiled(batch[0]), generator_ab(batch[0]), atol=1e-3)

# %% [markdown]
# The same weights give the same loss to a few thousandths. On a processor half precision is slower.
#
# **XLA** compiles a whole function into a few kernels. Translating works with it unchanged, as the last two lines of
# the cell show. For the training step, write `Run(..., jit_compile=True)`. There is one gap: TensorFlow 2.15 has no
# XLA kernel for the gradient of repeated pixels, which the U-Nets use, and says so. The ResNets of the profile
# `full` repeat no pixels.
#
# ## Summary
#
# - The adversarial loss asks for convincing pictures, the cycle loss for a way back, the identity loss for no
#   needless change. Each catches a cheat that the others miss.
# - One step trains generators and discriminators, each with its own loss. The pool keeps the discriminators
#   from forgetting.
# - Loss weights and learning rate are variables: they can change without compiling the step again.
# - Pictures and a measurement show what was learned; loss curves alone do not.
# - Each mistake shows in a column of pictures or in a curve. Know which one.
#
# ## Exercises
#
# ### Exercise 1 — the adversarial loss
#
# Write the generator's adversarial loss for patch scores of any shape: the mean squared distance from what the
# *generator* wants.


# %%
def generator_adversarial(scores):
    ### BEGIN SOLUTION
    return tf.reduce_mean((scores - 1) ** 2)
    ### STAND-IN
    # return tf.reduce_mean(scores) * 0  # your code here
    ### END SOLUTION


check("3-adversarial", generator_adversarial)

# %% [markdown]
# ### Exercise 2 — the cycle
#
# Write the cycle loss of one direction, B→A→B. You are given a picture of B and the two generators, which are
# functions.


# %%
def cycle_b(real_b, generator_ab, generator_ba):
    ### BEGIN SOLUTION
    return tf.reduce_mean(tf.abs(real_b - generator_ab(generator_ba(real_b))))
    ### STAND-IN
    # return tf.reduce_mean(real_b) * 0  # your code here
    ### END SOLUTION


check("3-cycle", cycle_b)

# %% [markdown]
# ### Exercise 3 — what prevents what
#
# For each symptom, name the loss whose weight was set to zero: "adversarial", "cycle" or "identity".

# %%
### BEGIN SOLUTION
missing = {
    "every apple becomes the same handsome orange": "cycle",
    "every apple is handed on unchanged, as an orange": "adversarial",
    "a grey wall turns blue, and grey again on the way back": "identity",
}
### STAND-IN
# missing = {
#     "every apple becomes the same handsome orange": "?",
#     "every apple is handed on unchanged, as an orange": "?",
#     "a grey wall turns blue, and grey again on the way back": "?",
# }
### END SOLUTION
check("3-missing", missing)

# %% [markdown]
# ### Exercise 4 — the schedule
#
# Write the learning rate at a step: `base` for the first `constant` steps, then in a line down to 0 at `total`,
# and 0 from there on.


# %%
def rate_at(step, base=2e-4, constant=100, total=200):
    ### BEGIN SOLUTION
    return base * min(1.0, max(0.0, (total - step) / (total - constant)))
    ### STAND-IN
    # return base * 0  # your code here
    ### END SOLUTION


check("3-rate", rate_at)

# %% [markdown]
# ### Exercise 5 — the pool
#
# Write what a discriminator is shown. `pool` is a list of at most `size` pictures.
#
# - While the pool is not full, the new `fake` is kept and shown.
# - When it is full and `swap` is true, the picture at `slot` is shown, and the new one takes its place.
# - When it is full and `swap` is false, the new one is shown and *not* kept.


# %%
def pooled(pool, fake, size, swap, slot):
    ### BEGIN SOLUTION
    if len(pool) < size:
        pool.append(fake)
    elif swap:
        pool[slot], fake = fake, pool[slot]
    return fake
    ### STAND-IN
    # return fake  # your code here
    ### END SOLUTION


check("3-pool", pooled)

# %% [markdown]
# ### Exercise 6 — which mistake is it?
#
# There are five sheets, one mistake each, and a healthy run to compare: seed 0, 1,500 steps, without the mask.
#
# - On the left is A: `real_a`, `fake_b`, `cycled_a`, `same_a`. On the right is B, in the same order.
# - Below are the losses, averaged over both directions.
# - Without the mask even the healthy run spoils its walls, so compare each sheet with that one.
# - Start with the curves. Which one differs from the healthy run, and which two move apart?
# - One mistake hardly shows in so short a run, and another even improves the walls a little. Find the three clear
#   ones first.
#
# The names are "no cycle loss", "no identity loss", "no pool", "batch norm" and "strong discriminators".

# %%
for name in ("1", "2", "3", "4", "5", "healthy"):
    print("sheet", name)
    sheet = profile.home("docs", "mistakes", f"{name}.jpg")
    display(Image(sheet, alt=f"Sheet {name}: real, fake, cycled, same; apples left, oranges right; four loss curves."))

# %%
### BEGIN SOLUTION
answers = {1: "batch norm", 2: "no cycle loss", 3: "strong discriminators", 4: "no identity loss", 5: "no pool"}
### STAND-IN
# answers = {1: "?", 2: "?", 3: "?", 4: "?", 5: "?"}
### END SOLUTION
check("3-mistakes", answers)

# %% [markdown]
# ## Further reading
#
# - Zhu, Park, Isola, Efros (2017), *Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks*:
#   the method; the settings used here are in its appendix.
# - Mao et al. (2017), *Least Squares Generative Adversarial Networks*: why squares.
# - Shrivastava et al. (2017), *Learning from Simulated and Unsupervised Images through Adversarial Training*: the pool.
# - Mejjati et al. (2018), *Unsupervised Attention-guided Image-to-Image Translation*: the mask that keeps the
#   background unchanged, which the class profile uses.
