"""The panels of the lessons; only this package of ``labutils`` imports ipywidgets."""

from labutils.dashboard.augmentation import AugmentationPanel as AugmentationPanel
from labutils.dashboard.networks import FeatureMaps as FeatureMaps
from labutils.dashboard.networks import PatchMover as PatchMover
from labutils.dashboard.style import StylePanel as StylePanel
from labutils.dashboard.training import TrainingPanel as TrainingPanel
from labutils.dashboard.translate import TranslatePanel as TranslatePanel
