"""Make a second real pair, summer ⇄ winter farmland from the air, out of FlightGear's textures (GPL 2 or later).

The textures are two aerial photographs of 2048 × 2048 pixels, each in summer and under snow. They are in the package
``flightgear-data-base`` of Debian (1.3 GB):

apt-get download flightgear-data-base
dpkg-deb --fsys-tarfile flightgear-data-base_*.deb | tar -x --wildcards './usr/share/games/flightgear/Textures/*'
python benchmarks/seasons.py usr/share/games/flightgear/Textures summer2winter

The photographs are cut into 12 × 12 tiles of 160 pixels. The last two columns are the test pictures. Of the others,
every second tile, as on a chessboard, shows summer, and the rest winter: no training place is in both domains.
"""

import argparse
from pathlib import Path

from PIL import Image

from labutils.base import console

SUMMER, WINTER = "Terrain/countryside{}.green.dds", "Terrain.winter/countryside{}.winter.png"
TILE, TILES, TESTS = 160, 12, 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("textures", type=Path, help="FlightGear's folder Textures")
    parser.add_argument("root", type=Path, help="the dataset to make: trainA (summer), trainB (winter), testA, testB")
    options = parser.parse_args()
    for domain, name in (("A", SUMMER), ("B", WINTER)):
        for scene in (1, 2):  # 3 and 4 are the same photographs, turned
            with Image.open(options.textures / name.format(scene)) as photograph:
                cut(photograph.convert("RGB"), scene, domain, options.root)


def cut(photograph, scene, domain, root):
    """Write the tiles of one photograph into the folders of ``domain``, "A" or "B"."""
    for row in range(TILES):
        for column in range(TILES):
            test = column >= TILES - TESTS
            if not test and (row + column) % 2 != (domain == "B"):
                continue
            place = root / f"{'test' if test else 'train'}{domain}"
            place.mkdir(parents=True, exist_ok=True)
            left, top = column * TILE, row * TILE
            tile = photograph.crop((left, top, left + TILE, top + TILE))
            tile.save(place / f"{scene}-{row:02}-{column:02}.png")


if __name__ == "__main__":
    console.escape()
    main()
