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
# Two generators, two discriminators, and no right answers to copy. This lesson trains them, while you watch and
# interfere.
#
# **What you will be able to do**
#
# - compute the adversarial, cycle and identity losses by hand, and say what each one prevents;
# - write one training step, and know why the discriminators are shown old pictures;
# - start, steer, pause and stop a training that runs in the background;
# - continue a run that was killed, and measure what it learned.
#
# **Before you start:** lessons 1 and 2. **Time:** 60 minutes, of which 4 or 5 train in the background.

# %%
from labutils import plots, profile
from labutils.datasets import public

lab = profile.load()
root = public.ensure(lab)
print(f"Profile {lab.name}: {lab.cost}.")

# %% [markdown]
# TensorFlow, and the helpers whose insides this lesson explains:

# %%
import numpy as np
import tensorflow as tf

from labutils import cyclegan, losses, metrics, models, training
from labutils.checks import check
from labutils.dashboard import TrainingPanel
from labutils.datasets import pipeline

# %% [markdown]
# ## Who wants what
#
# `generator_ab` turns A into B, and `generator_ba` turns B into A. `discriminator_b` looks at pictures of B, real
# ones and fakes, and scores every patch: 1 for real, 0 for fake. `discriminator_a` does the same for A. Names in
# this course say what a picture is: `real_a` came from the dataset, `fake_b` is its translation, `cycled_a` has
# been to B and back, and `same_a` is `real_a` after the generator that makes A, which should leave it alone.
#
# ## The adversarial loss
#
# The least-squares form: how far are the scores from what somebody wants them to be? Here are four patch scores of
# one fake picture. The discriminator wants zeros; the generator wants ones.

# %%
scores = tf.constant([0.9, 0.2, 0.0, 0.5])
discriminator_wants = np.mean((scores.numpy() - 0) ** 2)
generator_wants = np.mean((scores.numpy() - 1) ** 2)
print(f"discriminator's part {discriminator_wants:.3f}, generator's loss {generator_wants:.3f}")

# %% [markdown]
# Same scores, opposite wishes: what lowers one number raises the other. `labutils.losses` has both, and they
# agree.

# %%
np.testing.assert_allclose(losses.adversarial(scores, real=False), discriminator_wants, rtol=1e-5)
np.testing.assert_allclose(losses.adversarial(scores, real=True), generator_wants, rtol=1e-5)

# %% [markdown]
# ## The cycle loss
#
# The adversarial loss alone is satisfied by *any* convincing orange: the generator could paint the same one every
# time. So the way back must lead home: A→B→A should give the picture we started from. The loss is the mean
# absolute difference. The smallest example has two pixels.

# %%
real_a = np.array([[[[0.2, -0.4, 1.0], [0.0, 0.5, -1.0]]]], np.float32)
cycled_a = np.array([[[[0.1, -0.4, 0.7], [0.0, 0.5, -0.8]]]], np.float32)
by_hand = (0.1 + 0 + 0.3 + 0 + 0 + 0.2) / 6
np.testing.assert_allclose(losses.cycle(real_a, cycled_a), by_hand, rtol=1e-5)
print(f"cycle loss {by_hand:.2f}")

# %% [markdown]
# ## The identity loss
#
# `generator_ba` makes apples. Given an apple, it has nothing to do, and the identity loss says so: it compares
# `same_a` with `real_a`, by the same formula. Without it a generator is free to shift all colours, as long as the
# other one shifts them back. Its formula is the cycle loss's.

# %%
same_a = real_a + np.float32(0.25)
np.testing.assert_allclose(losses.identity(real_a, same_a), 0.25, rtol=1e-5)

# %% [markdown]
# ## One step, written out
#
# Four networks as the profile says, with fresh weights. The class profile's generators have one thing more than
# lesson
# 2's: a fourth output, a mask that says *where* to change the picture. Everywhere else the picture passes through.


# %%
def networks():
    generator = {**lab.generator, "image_size": lab.size}
    discriminator = {**lab.discriminator, "image_size": lab.size}
    return [models.build(spec) for spec in (generator, generator, discriminator, discriminator)]


tf.keras.utils.set_random_seed(0)
generator_ab, generator_ba, discriminator_a, discriminator_b = networks()
(batch,) = pipeline.unpaired(root, lab.size).take(1)

# %% [markdown]
# The generators' loss is a weighted sum over both directions. The weights are the paper's: 1, 10 and 5. A
# discriminator's is the mean of its two errors: real pictures scored below 1, and fakes scored above 0.


# %%
def generators_loss(real_a, real_b):
    fake_b, fake_a = generator_ab(real_a), generator_ba(real_b)
    adversarial = losses.adversarial(discriminator_b(fake_b), real=True)
    adversarial += losses.adversarial(discriminator_a(fake_a), real=True)
    cycle = losses.cycle(real_a, generator_ba(fake_b)) + losses.cycle(real_b, generator_ab(fake_a))
    identity = losses.identity(real_a, generator_ba(real_a)) + losses.identity(real_b, generator_ab(real_b))
    return adversarial + 10 * cycle + 5 * identity


def discriminators_loss(real_a, real_b):
    fake_b, fake_a = generator_ab(real_a), generator_ba(real_b)
    total = 0.0
    for discriminator, real, fake in ((discriminator_a, real_a, fake_a), (discriminator_b, real_b, fake_b)):
        total += (tf.reduce_mean((discriminator(real) - 1) ** 2) + tf.reduce_mean(discriminator(fake) ** 2)) / 2
    return total


# %% [markdown]
# A step lowers the first with respect to the generators' weights, and the second with respect to the
# discriminators'. That is all there is. `CycleGAN.train_step` does it in one compiled function, with four
# generator calls instead of six. It must find the same losses as the cells above.

# %%
by_cells = float(generators_loss(*batch)), float(discriminators_loss(*batch))
gan = cyclegan.CycleGAN(generator_ab, generator_ba, discriminator_a, discriminator_b, pool_size=0)
gan.compile(tf.keras.optimizers.SGD(0.0), tf.keras.optimizers.SGD(0.0))  # a rate of 0, to compare before anything moves
logs = gan.train_step(batch)
by_model = float(logs["generators"]), float(logs["discriminator_a"] + logs["discriminator_b"])
np.testing.assert_allclose(by_cells, by_model, atol=1e-4)
print(f"generators {by_model[0]:.4f}, discriminators {by_model[1]:.4f}: equal")

# %% [markdown]
# ## The pool: a memory for the discriminators
#
# A discriminator that only sees the newest fakes forgets the older tricks, and the generator goes back to them. So
# every discriminator keeps a pool of generated pictures, 50 in the paper: half of the time it is shown an old one,
# and the new one takes its place. Here the "pictures" are step numbers, so their age can be read.

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
# For 50 steps the pool fills. Then half of what is shown is new (age 0), and the rest can be hundreds of steps
# old.
#
# ## The learning rate
#
# Constant for the first half, then in a straight line to zero: big steps to find the way, small ones to settle.

# %%
rate, total = tf.Variable(lab.learning_rate), tf.Variable(float(lab.steps))
schedule = training.LinearDecay(rate, total, float(lab.constant_steps))
steps = np.linspace(0, lab.steps, 50)
plots.curves(
    {"learning rate": (steps, [float(schedule(step)) for step in steps])},
    ylabel="learning rate",
    alt="The learning rate over the run: level for the first half, then falling in a line to zero.",
)

# %% [markdown]
# ## Train
#
# A `Run` trains in a thread of its own, so that this notebook stays yours. It keeps its state in a folder and
# continues from there if you come back, or if somebody pulls the plug.

# %%
tf.keras.utils.set_random_seed(1)
gan = cyclegan.CycleGAN(*networks(), pool_size=lab.pool_size)
run = training.Run(gan, root, lab, profile.home("runs", f"lesson3-{lab.name}"), seed=1)
panel = TrainingPanel(run)
panel

# %% [markdown]
# The panel has everything: Start, Pause and Stop; three sliders that act on the very next step; the pictures; the
# curves. The next cell presses Start. It returns at once; building the graph takes 5 to 15 seconds before the
# first step.

# %%
run.start()
print(f"{run.state}, and this cell is already done")

# %% [markdown]
# Now drag a slider and watch a mark appear on the curves. Without a mouse: `run.set("cycle", 5)` does the same.
# Nothing is recompiled, because a loss weight is a `tf.Variable`, which the compiled step reads each time.
#
# While it trains, read the pictures from the top: `real_a`, its translation `fake_b`, and the way back,
# `cycled_a`; then the other direction. For a thousand steps little happens. Then colours come, first roughly, then
# in place.
#
# The curves tell less than you might hope. The two sides play against each other, so a *good* match has flat
# adversarial curves. Only the cycle and identity losses should fall. **Judge by the pictures.**
#
# The next cell waits for the end. To go on reading below while it trains, come back to it later.

# %%
run.wait()
print(f"{run.state} at step {run.step}")

# %% [markdown]
# ## What did it learn?
#
# The fixed test pictures, translated both ways and back:

# %%
pictures = run.sample()
plots.grid(
    list(pictures.values()),
    row_titles=list(pictures),
    alt="Test apples, the oranges made of them and the way back; then oranges, apples made of them and the way back.",
)

# %% [markdown]
# The orchard knows the truth: every test scene was rendered as both fruit. So a translation can be *measured*.
# Inside the fruit, how near does it come to the right answer (PSNR in decibels, higher is better), and is that
# nearer than handing the picture back unchanged? Outside, was the background left alone?

# %%
reports = {
    direction: metrics.report(generator, root, direction)
    for direction, generator in (("ab", gan.generator_ab), ("ba", gan.generator_ba))
}
for direction, report in reports.items():
    print(
        f"{direction}: fruit {report['fruit_psnr']:.1f} dB (copying: {report['copy_fruit_psnr']:.1f} dB, "
        f"gain {report['gain']:+.1f} dB), background {report['background_psnr']:.1f} dB"
    )

# %% [markdown]
# On a machine with two cores, 3,000 steps of the class profile (seed 1) gave 20.9 dB inside the fruit from apple to
# orange, where copying has 15.1, and 18.8 dB from orange to apple, where copying has 17.2; the backgrounds kept 45 and
# 54 dB, which is a difference you have to look for. From orange to apple the truth is the *nearest* of the three
# varieties, because an orange does not say which apple it was. The smoke profile is far too short to learn anything.
# After a full run of the class profile, these must hold:

# %%
if lab.name == "class" and not run.events and run.step == lab.steps:
    assert reports["ab"]["gain"] > 2 and reports["ba"]["gain"] > 1
    assert min(report["background_psnr"] for report in reports.values()) > 18

# %% [markdown]
# ## Continue a run
#
# The folder holds the last two checkpoints, the sample pictures by step, and the generators. A new `Run` on the
# same folder takes up where the old one stopped: same weights, same optimizer, same pool, same place in the
# shuffled data. On a CPU the continued run is equal to the unbroken one, bit for bit; the tests of this course
# kill it at several steps to make sure.

# %%
tf.keras.utils.set_random_seed(2)  # other first weights: all that counts comes from the folder
twin = cyclegan.CycleGAN(*networks(), pool_size=lab.pool_size)
again = training.Run(twin, root, lab, run.directory, seed=1)
for ours, theirs in zip(again.gan.generator_variables, run.gan.generator_variables, strict=True):
    np.testing.assert_array_equal(ours, theirs)
print(f"continues at step {again.step} of {again.target}")

# %% [markdown]
# ## With a GPU, and real photographs
#
# The profile `full` is the paper's recipe: 256 px, ResNet-9 generators, 200 epochs. Set it before starting
# JupyterLab and nothing else changes: `LAB_PROFILE=full make lab`. It downloads apple2orange and takes a day or
# two on one GPU. It is too much for two cores.
#
# ## Summary
#
# - The adversarial loss asks for convincing pictures, the cycle loss for a way back, the identity loss for restraint.
# - Generators and discriminators take turns within one step. The pool keeps the discriminators from forgetting.
# - Loss weights and learning rate are variables: they change while the compiled step runs.
# - Pictures and a measurement tell what was learned; loss curves alone do not.
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
    "the pictures come back exactly as they were": "adversarial",
    "a grey wall turns blue, and grey again on the way back": "identity",
}
### STAND-IN
# missing = {
#     "every apple becomes the same handsome orange": "?",
#     "the pictures come back exactly as they were": "?",
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
# ## Further reading
#
# - Zhu, Park, Isola, Efros (2017), *Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks*:
#   the method; the settings used here are in its appendix.
# - Mao et al. (2017), *Least Squares Generative Adversarial Networks*: why squares.
# - Shrivastava et al. (2017), *Learning from Simulated and Unsupervised Images through Adversarial Training*: the pool.
# - Mejjati et al. (2018), *Unsupervised Attention-guided Image-to-Image Translation*: the mask that keeps backgrounds
#   where they are, which the class profile uses.
