"""Scenes rendered by code, which know the truth: the orchard, the paddock, the meadow, and painted styles."""
