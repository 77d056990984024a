"""The panel that explores augmentation, driven by setting its widgets' values."""

import numpy as np
import pytest
from skimage import data

from labutils.dashboard import AugmentationPanel
from labutils.datasets import pipeline

PHOTO = data.coffee()[:100, :150]


@pytest.fixture
def panel():
    return AugmentationPanel(PHOTO, 32)


def test_shows_what_the_pipeline_would_make(panel):
    panel.jitter.value, panel.across.value, panel.down.value = 1.25, 1.0, 0.0
    enlarged = pipeline.fit(PHOTO, 40).numpy()
    np.testing.assert_allclose(panel.view, enlarged[:32, -32:], atol=1e-6)
    assert (
        panel.caption.value
        == "Enlarged to 60 × 40 pixels; 32 × 32 of them kept, 28 from the left and 0 from the top; not mirrored."
    )


def test_mirrors(panel):
    before = panel.view
    panel.mirrored.value = True
    np.testing.assert_array_equal(panel.view, before[:, ::-1])
    assert "; mirrored." in panel.caption.value


def test_each_control_draws_anew(panel):
    seen = {bytes(panel.picture.value)}
    for control, value in ((panel.jitter, 1.4), (panel.across, 0.2), (panel.down, 0.9), (panel.mirrored, True)):
        control.value = value
        seen.add(bytes(panel.picture.value))
    panel.button.click()
    seen.add(bytes(panel.picture.value))
    assert len(seen) == 6 and all(picture.startswith(b"\x89PNG") and len(picture) < 100_000 for picture in seen)


def test_every_control_says_what_it_does(panel):
    for control in (panel.jitter, panel.across, panel.down, panel.mirrored, panel.button):
        assert control.description
