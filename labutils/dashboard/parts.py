"""Parts that all panels share."""

import contextlib
import io
import tempfile
import threading
from pathlib import Path

import ipywidgets as widgets
from markupsafe import Markup, escape
from PIL import Image
from traitlets import Unicode, validate

from labutils.base.reading import ImageError, read_image

MOST = 50_000_000  # bytes per upload; phone photographs have up to 25 million. The server's limit is ten times as high


def button(description, icon, tooltip, action):
    made = widgets.Button(description=description, icon=icon, tooltip=tooltip, layout={"width": "120px"})
    made.on_click(action)
    return made


class Words(widgets.HTML):
    """Show text. Anything that is not ``Markup`` is escaped, so that no file name can inject a script."""

    @validate("value")
    def _escaped(self, proposal):
        return escape(proposal["value"])


def bold(text):
    return Markup("<b>{}</b>").format(text)


class Watching(widgets.VBox):
    """A panel whose ``refresh`` is called by a run, until it is closed or replaced by a later panel of the same run."""

    def watch(self):
        """Start watching ``self.run``, and replace an earlier panel of the same class."""
        watchers = self.run.watchers
        for watcher in list(watchers):
            earlier = getattr(watcher, "__self__", None)
            if type(earlier) is type(self):
                watchers.remove(watcher)
                _close(earlier.children)
                earlier.children = [Words("This panel was replaced by a later one of the same run.")]
        watchers.append(self.refresh)

    def close(self):
        run = getattr(self, "run", None)  # missing if __init__ failed; Python closes such a panel too
        if run and self.refresh in run.watchers:
            run.watchers.remove(self.refresh)
        _close(self.children)
        super().close()

    _one, _here = threading.RLock(), threading.local()

    @contextlib.contextmanager
    def following(self):
        """Lock the panel while this thread shows the current values, so that no older values overwrite them.

        Inside the block ``follows`` is true in this thread: its handlers then know that no person moved a control.
        A person's change in another thread is not affected.
        """
        with self._one:
            before, self._here.follows = self.follows, True
            try:
                yield
            finally:
                self._here.follows = before

    @property
    def follows(self):
        return getattr(self._here, "follows", False)


def _close(parts):
    """Close widgets and their children. Jupyter keeps open widgets, and their handlers would keep the run in memory."""
    for part in parts:
        _close(getattr(part, "children", ()))
        part.close()


class Picture(widgets.Image):
    """An image with its ``tooltip`` as alternative text.

    The page's tooltip code reads ``description``, which ``widgets.Image`` lacks. Without it the page shows an error.
    """

    description = Unicode("").tag(sync=True)


def uploaded(data):
    """Read an uploaded picture from its bytes ``data``, as uint8 (height, width, 3).

    Raises what ``read_image`` raises, and ``ImageError`` for more than 50 MB.
    """
    if len(data) > MOST:
        reason = (
            f"has {len(data) / 1e6:.0f} MB; the limit is {MOST / 1e6:.0f} MB. Save it smaller, for example as a JPEG"
        )
        raise ImageError("the upload", reason)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(data)
        return read_image(path)


def jpeg(image):
    """Encode a picture, uint8 (height, width, 3), as JPEG bytes, at most 640 pixels wide or high."""
    buffer, picture = io.BytesIO(), Image.fromarray(image)
    picture.thumbnail((640, 640))
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
