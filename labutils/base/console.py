"""Printing on terminals of any encoding."""

import sys


def escape():
    """Let ``print`` write characters that the terminal's encoding lacks as escapes.

    Every command calls this first. Otherwise a file name could end it with a ``UnicodeEncodeError``.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
