import numpy as np
import pytest

from labutils.scenes import styles


@pytest.mark.parametrize("name", styles.STYLES)
def test_a_painting_is_a_picture_and_the_same_again(name):
    one, two, other = (styles.paint(name, 64, seed) for seed in (0, 0, 1))
    assert one.shape == (64, 64, 3) and one.dtype == np.uint8
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()
    assert one.std(axis=(0, 1)).max() > 25  # it is not one flat colour


def test_sizes_show_the_same_painting():
    small, large = styles.paint("tiles", 64), styles.paint("tiles", 128)
    reduced = large.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.corrcoef(small.ravel(), reduced.ravel())[0, 1] > 0.9


def test_unfit_wishes_are_refused():
    with pytest.raises(ValueError, match="brush_strokes, tiles"):
        styles.paint("oil")
    with pytest.raises(ValueError, match="at least 16"):
        styles.paint("tiles", 4)
