"""The panel of lesson 1: enlarge, crop and mirror a picture by hand, or at random as training does."""

import ipywidgets as widgets
import numpy as np

from labutils.dashboard import parts
from labutils.figures import plots


class AugmentationPanel(widgets.VBox):
    """Show what ``pipeline.random_view`` may do to ``image``, uint8 (h, w, 3), for networks of ``size`` pixels.

    It shows the enlarged picture with the crop framed, and the crop as the network gets it. The button draws
    position and mirroring at random. Display it in a cell.
    """

    def __init__(self, image, size):
        self.image, self.size, self.draws = image, size, 0
        self.jitter = self._slider("enlarge (×)", 1.12, 1.0, 1.5, 0.02)
        self.across = self._slider("crop: left 0 to right 1", 0.5, 0.0, 1.0, 0.05)
        self.down = self._slider("crop: top 0 to bottom 1", 0.5, 0.0, 1.0, 0.05)
        self.mirrored = widgets.Checkbox(False, description="mirror", indent=False)
        self.button = widgets.Button(
            description="Draw at random", icon="random", tooltip="Draw a new crop, and whether to mirror it"
        )
        self.picture = parts.Picture(
            format="png",
            layout={"max_width": "520px"},
            tooltip="The enlarged picture, and the crop that the network gets",
        )
        self.caption = parts.Words()
        self.view = None  # what the network gets, float32 (size, size, 3) in [-1, 1]
        self.button.on_click(self._draw)
        for control in (self.jitter, self.across, self.down, self.mirrored):
            control.observe(self._show, names="value")
        controls = widgets.VBox([self.jitter, self.across, self.down, self.mirrored, self.button])
        super().__init__([widgets.HBox([controls, self.picture], layout={"flex_flow": "row wrap"}), self.caption])
        self._show()

    @staticmethod
    def _slider(description, value, low, high, step):
        style, layout = {"description_width": "180px"}, {"width": "380px"}
        return widgets.FloatSlider(
            value, min=low, max=high, step=step, description=description, style=style, layout=layout
        )

    def _draw(self, _):
        self.draws += 1
        random = np.random.default_rng(self.draws)
        with self.hold_trait_notifications():
            self.down.value, self.across.value = random.random(2)
        self.mirrored.value = bool(random.random() < 0.5)

    def _show(self, _=None):
        from labutils.datasets import pipeline

        enlarged = pipeline.fit(self.image, round(self.size * self.jitter.value)).numpy()
        where = (self.down.value, self.across.value)
        view = pipeline.crop(enlarged, self.size, where).numpy()
        self.view = view[:, ::-1] if self.mirrored.value else view
        height, width = enlarged.shape[:2]
        top, left = (
            int((side - self.size + 1) * min(part, 0.999)) for side, part in zip((height, width), where, strict=True)
        )
        titles = ["enlarged", "what the network gets"]
        plot = plots.grid([[enlarged, self.view]], column_titles=titles, scale=2.4, black=-1)
        frame = plot.axes[0].add_patch(_frame(left, top, self.size))
        frame.set_edgecolor(plots.COLOURS[1])
        self.picture.value = plot.png()
        text = (
            f"Enlarged to {width} × {height} pixels; {self.size} × {self.size} of them kept, {left} from the left and"
        )
        self.caption.value = f"{text} {top} from the top; {'mirrored' if self.mirrored.value else 'not mirrored'}."


def _frame(left, top, size):
    from matplotlib.patches import Rectangle

    return Rectangle((left - 0.5, top - 0.5), size, size, fill=False, linewidth=2)
