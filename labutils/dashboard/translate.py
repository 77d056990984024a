"""The panel of lesson 4: translate any picture, and wipe between before and after."""

import re
import threading
from pathlib import Path

import ipywidgets as widgets
import numpy as np

from labutils import translate
from labutils.base.background import wait_for
from labutils.base.reading import ImageError
from labutils.dashboard import parts
from labutils.profile import home

WIDE = {"description_width": "130px"}
SHOWN = {"width": "640px", "max_width": "100%", "max_height": "480px", "object_fit": "contain"}
SAMPLES = ("coffee", "astronaut", "chelsea")  # photographs that come with scikit-image


class TranslatePanel(widgets.VBox):
    """Choose or upload a picture, choose a generator, wipe between before and after, save.

    ``generators``: ``{name: generator}``. ``pictures``: ``{name: uint8 (height, width, 3)}`` to choose from, by default
    three photographs of scikit-image. ``folder``: where Save writes, by default ``runs/translated``. A thread
    translates; it only sets values of widgets created here.

    Example::

        panel = TranslatePanel({"apples to oranges": generator_ab, "oranges to apples": generator_ba})
        panel
    """

    def __init__(self, generators, pictures=None, folder=None):
        self.generators = {name: translate.any_size(generator) for name, generator in generators.items()}
        self.pictures = dict(pictures or _samples())
        self.folder = Path(folder or home("runs", "translated"))
        self.before = self.after = None
        self._orders, self._lock, self._done = 0, threading.Lock(), None
        self.upload = widgets.FileUpload(accept="image/*", description="Own picture", layout={"width": "170px"})
        self.picture = _choice("picture", self.pictures)
        self.generator = _choice("generator", self.generators)
        self.wipe = widgets.IntSlider(
            50, 0, 100, description="wipe line at (%)", style=WIDE, layout={"width": "640px", "max_width": "100%"}
        )
        self.save = parts.button("Save", "download", "Write the translation as a PNG with its settings", self._save)
        self.status, self.caption = parts.Words(), parts.Words()
        self.image = parts.Picture(format="jpeg", layout=SHOWN, tooltip="The picture, its translation and the way back")
        super().__init__(
            [
                widgets.HBox([self.upload, self.picture, self.generator], layout={"flex_flow": "row wrap"}),
                self.status,
                self.wipe,
                self.image,
                self.caption,
                self.save,
            ]
        )
        self.upload.observe(lambda change: self._take(change["new"]), "value")
        self.picture.observe(self._translate, "value")
        self.generator.observe(self._translate, "value")
        self.wipe.observe(lambda _: self._show(), "value")
        self._translate()

    def wait(self, timeout=None):
        """Wait for the latest translation.

        Raises ``TimeoutError`` after ``timeout`` seconds.
        """
        if not wait_for(self._done, timeout):
            raise TimeoutError(f"Still translating {self.picture.value} after {timeout} s.")
        return self

    def _take(self, files):
        """Add an uploaded picture to the choices, and choose it."""
        if not files:
            return
        name, data = files[-1]["name"], files[-1]["content"]
        self.upload.value = ()  # its bytes need not stay in memory, and the same file may be chosen again
        try:
            self.pictures[name] = parts.uploaded(data)
        except ImageError as error:
            self.status.value = parts.bold(f"{name} {error.reason}")
            return
        self.picture.unobserve(self._translate, "value")  # setting options briefly selects the first one
        self.picture.options, self.picture.value = tuple(self.pictures), name
        self.picture.observe(self._translate, "value")
        self._translate()

    def _translate(self, _=None):
        """Start translating the current choice, and discard an earlier translation."""
        self._orders += 1
        self.before, self.after, self.save.disabled = self.pictures[self.picture.value], None, True
        height, width = self.before.shape[:2]
        self.status.value = f"translating {self.picture.value}, {width} × {height} pixels …; then you can save it"
        self._show()
        self._done = threading.Event()
        threading.Thread(target=self._work, args=(self._orders, self._done), daemon=True).start()

    def _work(self, order, done):
        with self._lock:  # one translation at a time
            if order == self._orders:
                try:
                    self._apply(order)
                except Exception as error:  # nobody would see an error in the thread
                    self.status.value = parts.bold(f"Not translated: {str(error)[:500]}")
            done.set()

    def _apply(self, order):
        after = translate.apply(self.generators[self.generator.value], self.before)
        if order == self._orders:
            self.after, self.save.disabled = after, False
            self.status.value = f"ready: {self.picture.value}, {self.generator.value}"
            self._show()

    def _show(self):
        """Show the picture left of the line, its translation right of it, and a caption."""
        height, width = self.before.shape[:2]
        if self.after is None:
            self.image.value = parts.jpeg(self.before)
            self.caption.value = f"{self.picture.value}, {width} × {height} pixels, not translated"
            return
        self.image.value = parts.jpeg(wiped(self.before, self.after, self.wipe.value))
        changed = np.abs(self.after.astype(int) - self.before).mean()
        self.caption.value = (
            f"Left {self.wipe.value} % of the width: {self.picture.value}; right {100 - self.wipe.value} %: "
            f"{self.generator.value}. {width} × {height} pixels, changed by {changed:.1f} of 255 levels on average."
        )

    def _save(self, _):
        name, generator = self.picture.value, self.generator.value
        file = "-".join(re.sub(r"\W+", "-", part).strip("-") for part in (Path(name).stem, generator)) + ".png"
        settings = translate.settings(self.generators[generator], source=name)
        try:
            path = translate.save_png(self.folder / file, self.after, settings)
        except OSError as error:
            self.status.value = parts.bold(f"Not saved: {error}")
        else:
            shown = path.relative_to(home()) if path.is_relative_to(home()) else path
            self.status.value = f"saved as {shown}"


def wiped(before, after, percent):
    """Join ``before``, left of ``percent`` % of the width, and ``after`` with a white line between them (uint8)."""
    width = before.shape[1]
    line = round(width * percent / 100)
    both = np.concatenate([before[:, :line], after[:, line:]], axis=1)
    if 0 < line < width:
        both[:, max(0, line - max(1, width // 400)) : line + max(1, width // 400)] = 255
    return both


def _choice(description, options):
    layout = {"width": "330px", "max_width": "100%"}
    return widgets.Dropdown(options=tuple(options), description=description, style=WIDE, layout=layout)


def _samples():
    import skimage.data

    return {name: getattr(skimage.data, name)() for name in SAMPLES}
