"""What the commands print, on terminals of any encoding."""

import sys


def escape():
    """Let ``print`` show characters that the terminal's encoding lacks as escapes, instead of ending the program.

    Every command calls this first: a name or a sign must not turn work that is done into a ``UnicodeEncodeError``.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
