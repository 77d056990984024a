"""Scenes rendered by code, with ground truth: the orchard, the paddock, the meadow, and painted styles."""
