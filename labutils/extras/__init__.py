"""What a course needs beside its lessons: presets of other tutorials, exports, packed weights."""
