"""Sizes and step counts of the lessons: ``smoke`` for CI, ``class`` for two CPU cores, ``full`` for a GPU."""

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path

from labutils import datasets
from labutils.base.paths import place


@dataclass(frozen=True)
class Profile:
    """The numbers of one profile. Sizes are in pixels; ``train`` and ``test`` count pictures of each domain.

    Raises ``ValueError`` for an impossible number, such as a checkpoint every 0 steps.
    """

    name: str
    cost: str  # the time and machine it takes, in words, shown at the top of every lesson
    dataset: str  # a rendered dataset, or one of ``published.DATASETS``
    size: int
    train: int
    test: int
    generator: dict  # arguments of ``models.build``, without the size
    discriminator: dict
    steps: int
    constant_steps: int  # from this step to ``steps`` the learning rate falls to zero
    checkpoint_every: int
    sample_every: int
    style_size: int
    style_steps: int
    kept_generators: int = 10  # maximum number of pairs that a run saves by step
    learning_rate: float = 2e-4
    discriminator_pace: float = 1.0  # the discriminators' learning rate is this many times the generators'
    loss_weights: dict = field(default_factory=lambda: {"adversarial": 1.0, "cycle": 10.0, "identity": 5.0})
    pool_size: int = 50
    batch_size: int = 1

    def __str__(self):
        return f"Profile {self.name} on {self.dataset}: {self.cost}."

    @property
    def label(self):
        """The profile's name, and the data's if it is not the profile's own: for the names of folders."""
        own = PROFILES[self.name].dataset == self.dataset if self.name in PROFILES else True
        return self.name if own else f"{self.name}-{Path(self.dataset).name}"

    def __post_init__(self):
        for name, kind in self.__annotations__.items():
            least = int(name not in ("constant_steps", "pool_size", "learning_rate", "discriminator_pace"))
            if kind in (int, float) and not least <= (value := getattr(self, name)) < float("inf"):
                raise ValueError(f"{name} of profile {self.name!r} must be {least} or more, not {value}.")


PROFILES = {
    "smoke": Profile(
        name="smoke",
        cost="a few seconds a cell, for automatic tests: too short to see anything learned",
        dataset="orchard",
        size=32,
        train=16,
        test=8,
        generator={"kind": "unet_generator", "filters": 8},
        discriminator={"kind": "patch_discriminator", "filters": 8, "strides": (2, 2)},
        steps=12,
        constant_steps=6,
        checkpoint_every=4,
        sample_every=4,
        style_size=64,
        style_steps=5,
    ),
    "class": Profile(
        name="class",
        cost="two CPU cores; lesson 3 trains in the background for 2 to 5 minutes",
        dataset="orchard",
        size=64,
        train=400,
        test=200,
        generator={"kind": "unet_generator", "filters": 16, "attention": True},
        discriminator={"kind": "patch_discriminator", "filters": 32, "strides": (2, 2, 1)},
        steps=3000,
        constant_steps=1500,
        discriminator_pace=2.0,  # benchmarks/README.md describes the search for these settings
        loss_weights={"adversarial": 1.0, "cycle": 5.0, "identity": 2.0},
        pool_size=400,
        checkpoint_every=100,
        sample_every=100,
        kept_generators=30,  # one of them is chosen by its scores
        style_size=224,
        style_steps=60,
    ),
    "full": Profile(
        name="full",
        cost="a GPU and half a day to two days; the paper's recipe on real photographs",
        dataset="apple2orange",
        size=256,
        train=1019,
        test=248,
        generator={"kind": "resnet_generator", "filters": 64, "blocks": 9},
        discriminator={"kind": "patch_discriminator", "filters": 64},
        steps=200 * 1019,
        constant_steps=100 * 1019,
        checkpoint_every=1019,
        sample_every=200,
        style_size=512,
        style_steps=300,
    ),
}


# What the recipe for photographs changes: no mask, equal pace, more steps (the search is in benchmarks/README.md).
PHOTOGRAPHS = {
    "smoke": {},
    "class": {
        "generator": {"kind": "unet_generator", "filters": 16},
        "discriminator_pace": 1.0,
        "steps": 5000,
        "constant_steps": 2500,
    },
    "full": {},
}


def load(name=None, data=None):
    """Return the profile ``name``; by default the one in the variable ``LAB_PROFILE``, otherwise ``"class"``.

    ``data``: the name of a rendered or published dataset, or a folder with ``trainA``, ``trainB``, ``testA`` and
    ``testB``; by default the variable ``LAB_DATA``, otherwise the profile's own. The data choose the recipe: that of
    the profile for rendered scenes, ``PHOTOGRAPHS`` for all others.
    Raises ``ValueError`` for an unknown profile.
    """
    name, data = name or os.environ.get("LAB_PROFILE") or "class", data or os.environ.get("LAB_DATA")
    if name not in PROFILES:
        raise ValueError(f"Unknown profile {name!r}: choose one of {', '.join(PROFILES)}.")
    if not data:
        return PROFILES[name]
    recipe = {} if data in datasets.RENDERED else PHOTOGRAPHS[name]
    return dataclasses.replace(PROFILES[name], dataset=str(data), **recipe)


def home(*parts):
    """Return a path in the course's folder: ``home("docs")``. ``data`` and ``runs`` lie in ``LAB_HOME``, if set."""
    elsewhere = os.environ.get("LAB_HOME") if parts and parts[0] in ("data", "runs") else None
    return place(elsewhere or Path(__file__).resolve().parents[1]).joinpath(*parts)
