"""Draw the README's picture: test apples, the shipped generator's oranges, and the right answers."""

import numpy as np

from labutils import metrics, plots, profile, translate
from labutils.datasets import public

lab = profile.load("class")
root = public.ensure(lab)
generator = translate.load_generator(profile.home("pretrained", "orchard64-ab"))
apples, (oranges,), _ = metrics.test_pairs(str(root), "ab")
shown = slice(0, 10)
fake = np.asarray(generator(apples[shown] * 2 - 1)) / 2 + 0.5
figure = plots.grid(
    [apples[shown], np.clip(fake, 0, 1), oranges[shown]],
    row_titles=["apples", "translated", "truth"],
    alt="Ten test pictures of apples, their translations into oranges, and the true oranges.",
    scale=1.1,
)
target = profile.home("docs", "images", "apples_to_oranges.png")
target.write_bytes(figure.png(dpi=110))
print(f"wrote {target.name}")
