"""Words for messages: paths in one line, lists of names, the name that was perhaps meant."""

import difflib
import re


def shown(path):
    """Return ``path`` as one line of text: non-UTF-8 bytes, new lines and other control characters as escapes."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return re.sub(r"[\x00-\x1f\x7f]", lambda found: repr(found[0])[1:-1], text)  # lists have a line for each path


def listed(names, most=40):
    """Join ``names`` with commas: at most ``most`` of them, then how many more there are; "nothing" for none."""
    names = [shown(name) for name in names]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more or "nothing"


def choices(name, names):
    """List ``names``, and the one most like the unknown ``name``: ``"apples, oranges. Did you mean 'apples'?"``"""
    plain = {other.lower(): other for other in names}
    near = difflib.get_close_matches(str(name).lower(), plain, n=1, cutoff=0.5)
    return f"{listed(names)}." + "".join(f" Did you mean '{shown(plain[key])}'?" for key in near)
