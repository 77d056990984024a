"""Draw the README's picture: test apples, the shipped generator's oranges, and the true oranges."""

from labutils import metrics, profile, published, translate
from labutils.base import console
from labutils.figures import plots

TARGET = profile.home("docs", "images", "apples_to_oranges.png")


def draw():
    """Return the bytes of a PNG file of the class profile's first ten test pictures."""
    generator = translate.load_generator(translate.find("orchard64-ab"))
    apples, (oranges,), _ = metrics.test_pairs(str(published.ensure(profile.load("class"))), "ab", 10)
    fake = metrics.translated(generator, apples)
    figure = plots.grid(
        [apples, fake, oranges],
        row_titles=["apples", "translated", "truth"],
        alt="Ten test pictures of apples, their translations into oranges, and the true oranges.",
        scale=1.1,
    )
    return figure.png(dpi=132)


if __name__ == "__main__":
    console.escape()
    TARGET.write_bytes(draw())
    print(f"wrote {TARGET.name}")
