"""Extras beside the lessons: presets of other tutorials, exports, packed weights."""
