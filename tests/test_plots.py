"""Grids of pictures: sized by their pictures, titles do not overlap, white pictures have frames."""

import numpy as np
import pytest

from labutils.figures import plots

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


SHOWN = [  # picture, black, what is shown of it
    (np.full((4, 4, 3), 0.5), 0, 128),
    (np.full((4, 4, 3), 0.5), -1, 191),  # no value is below 0
    (np.full((4, 4, 3), 0.0, np.float32), -1, 128),
    (np.full((4, 4, 3), [0.5, -1e-8, 0.5]), 0, [128, 0, 128]),  # a rounding does not make it another range
    (np.full((4, 4, 3), [1.02, -1.02, 0]), -1, [255, 0, 128]),
    (np.full((4, 4, 3), 1, np.uint8), -1, 1),
]


@pytest.mark.parametrize(("picture", "black", "expected"), SHOWN)
def test_the_range_is_given_and_not_guessed(picture, black, expected):
    np.testing.assert_array_equal(plots.as_uint8(picture, black), np.broadcast_to(expected, (4, 4, 3)))
    shown = plots.grid([[picture]], alt=ALT, black=black).axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown, plots.as_uint8(picture, black))


@pytest.mark.parametrize("values", [[-1, 0], [0, 255], [0, np.nan], [-0.2, 1]])
def test_a_picture_of_another_range_is_refused(values):
    with pytest.raises(ValueError, match=r"values in \[0, 1\]; this one has values from"):
        plots.grid([[np.resize(values, (4, 4))]], alt=ALT)


def test_every_curve_is_named_in_the_legend_beside_its_own_kind_of_line():
    steps = range(5)
    (axis,) = plots.curves({"cycle": (steps, steps), "identity": (steps, steps)}, alt=ALT).axes
    legend = axis.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["cycle", "identity"]
    drawn, shown = ([line.get_linestyle() for line in lines] for lines in (axis.get_lines(), legend.get_lines()))
    assert drawn == shown and len(set(drawn)) == 2
