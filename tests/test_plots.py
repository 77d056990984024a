"""Grids of pictures: as large as their pictures, with titles apart, and white pictures framed."""

import numpy as np
import pytest

from labutils import plots

WHITE = np.full((8, 8, 3), 255, np.uint8)
ALT = "white squares in rows and columns"


def drawn(plot):
    """The pixels of a figure, uint8 (height, width, 3)."""
    plot.canvas.draw()
    return np.asarray(plot.canvas.buffer_rgba())[..., :3]


def test_rows_are_as_high_as_their_pictures():
    wide = np.zeros((10, 40, 3))
    width, height = plots.grid([[wide, wide], [WHITE]], alt=ALT, scale=2).get_size_inches()
    assert width == 4 and height == pytest.approx(2 / 4 + 2)


@pytest.mark.parametrize("columns", [1, 3, 12])
def test_a_figure_is_never_wider_than_a_page(columns):
    plot = plots.grid([[WHITE] * columns], ["a title of this row"], alt=ALT, scale=3)
    assert plot.get_size_inches()[0] <= plots.WIDEST + 1e-9


def test_titles_of_neighbours_do_not_touch():
    plot = plots.grid([[WHITE] * 3], column_titles=["a title that is longer than its picture is wide"] * 3, alt=ALT)
    drawn(plot)
    boxes = [axis.title.get_window_extent() for axis in plot.axes]
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:], strict=False))


def test_a_white_picture_has_a_frame_and_an_empty_place_has_none():
    assert (drawn(plots.grid([[WHITE, WHITE], [WHITE]], alt=ALT)) < 230).any()
    one, two = (drawn(plots.grid([[WHITE] * n, [WHITE, WHITE]], alt=ALT)) < 230 for n in (1, 2))
    middle = one.shape[1] // 2
    half = one.shape[0] // 2
    assert not one[:half, middle + 5 :].any() and two[:half, middle + 5 :].any()


def test_a_grey_picture_keeps_its_brightness():
    pixels = drawn(plots.grid([[np.full((4, 4), 0.5)]], alt=ALT))
    assert abs(int(pixels[len(pixels) // 2, pixels.shape[1] // 2, 0]) - 128) <= 1


def test_every_curve_is_named_in_the_legend_beside_its_own_kind_of_line():
    steps = range(5)
    (axis,) = plots.curves({"cycle": (steps, steps), "identity": (steps, steps)}, alt=ALT).axes
    legend = axis.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["cycle", "identity"]
    drawn, shown = ([line.get_linestyle() for line in lines] for lines in (axis.get_lines(), legend.get_lines()))
    assert drawn == shown and len(set(drawn)) == 2
