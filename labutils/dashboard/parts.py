"""What all panels are made of."""

import io
import tempfile
from pathlib import Path

import ipywidgets as widgets
from PIL import Image
from traitlets import Unicode

from labutils.datasets.reading import read_image


def button(description, icon, tooltip, action):
    made = widgets.Button(description=description, icon=icon, tooltip=tooltip, layout={"width": "120px"})
    made.on_click(action)
    return made


class Picture(widgets.Image):
    """An image with words for those who cannot see it, its ``tooltip``.

    The page's code for tooltips asks for a description, which ``widgets.Image`` lacks: without one it shows an error.
    """

    description = Unicode("").tag(sync=True)


def uploaded(data):
    """The picture in an uploaded file's bytes, uint8 (height, width, 3); raises what ``read_image`` raises."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(data)
        return read_image(path)


def jpeg(image):
    """The picture uint8 (height, width, 3) as a JPEG for the page, at most 640 pixels wide or high."""
    buffer, picture = io.BytesIO(), Image.fromarray(image)
    picture.thumbnail((640, 640))
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
