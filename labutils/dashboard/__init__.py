"""The widgets; nothing else in ``labutils`` imports ipywidgets."""

from labutils.dashboard.augmentation import AugmentationPanel as AugmentationPanel
from labutils.dashboard.training import TrainingPanel as TrainingPanel
