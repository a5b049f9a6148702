"""Create `images.npz`: all emoji of Unicode, drawn at 136x128 pixels and reduced to 32x32.

    apt-get install fonts-noto-color-emoji unicode-data
    python -m ganbench_datasets.emoji.make_images

The committed file was made with versions 2.042-0+deb12u1 and 15.0.0-1 of these packages, and Pillow 13.0.0 with raqm:
without this library, Pillow draws the parts of an emoji next to each other.
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from . import CLASSES, IMAGES

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
GROUPS = Path("/usr/share/unicode/emoji/emoji-test.txt")
FONT_SIZE = 109  # the only size of the font's bitmaps, which are 136x128 pixels
BITMAP_WIDTH, BITMAP_HEIGHT = 136, 128
SIDE = 32
TEST_FRACTION = 0.2
SPLIT_SEED = 0

# differ between variants: skin tones, signs of gender, joiners and variation selectors
VARIATIONS = frozenset("\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff♀♂\u200d\ufe0f")
# emoji with an age or gender of their own, and what their variants are made of
PERSONS = {
    "👨": "🧑",
    "👩": "🧑",
    "👦": "🧒",
    "👧": "🧒",
    "👴": "🧓",
    "👵": "🧓",
    "🤴": "🫅",
    "👸": "🫅",
    "🎅": "🧑🎄",
    "🤶": "🧑🎄",
    "🤰": "🫄",
    "🫃": "🫄",
    "👪": "🧑🧒",
    "👫": "🧑🤝",
    "👬": "🧑🤝",
    "👭": "🧑🤝",
    "💏": "🧑❤💋",
    "💑": "🧑❤",
}


def emoji() -> Iterator[tuple[str, int]]:
    """Yield each fully-qualified emoji with its label, in the order of Unicode."""
    label = -1
    for line in GROUPS.read_text(encoding="utf-8").splitlines():
        if line.startswith("# group: "):
            group = line.removeprefix("# group: ")
            label = CLASSES.index(group) if group in CLASSES else -1  # "Component" has no fully-qualified emoji
        code_points, _, status = line.partition("#")[0].partition(";")
        if status.strip() == "fully-qualified":
            yield "".join(chr(int(code, 16)) for code in code_points.split()), label


def draw(text: str, font: ImageFont.FreeTypeFont) -> np.ndarray:
    """Return the image of an emoji, uint8 `(32, 32, 3)`: centered in a white square, and reduced.

    PIL's Hamming filter antialiases; unlike the bicubic and Lanczos filters, it makes no halos on the white background.
    """
    assert round(font.getlength(text)) == BITMAP_WIDTH, f"more than one glyph for {text}: is Pillow's raqm missing?"
    drawn = Image.new("RGBA", (BITMAP_WIDTH, BITMAP_WIDTH), (255, 255, 255, 0))
    top = (BITMAP_WIDTH - BITMAP_HEIGHT) // 2
    ImageDraw.Draw(drawn).text((0, top), text, font=font, embedded_color=True)
    on_white = Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB")
    return np.asarray(on_white.resize((SIDE, SIDE), Image.Resampling.HAMMING))


def base(text: str) -> str:
    """Return what all variants of an emoji have in common: 🧑🧒 for every family, 🧑🚀 for every astronaut."""
    persons = "".join(PERSONS.get(character, character) for character in text if character not in VARIATIONS)
    return "".join(dict.fromkeys(persons))


def sets_of_variants(texts: list[str], images: np.ndarray) -> list[list[int]]:
    """Return the indices of all emoji in sets: those with the same base or equal pixels are in one."""
    leader: dict[str | bytes, str | bytes] = {}

    def find(key: str | bytes) -> str | bytes:
        while (above := leader.setdefault(key, key)) != key:
            key = above
        return key

    for text, image in zip(texts, images, strict=True):
        leader[find(image.tobytes())] = find(base(text))
    members = defaultdict(list)
    for index, text in enumerate(texts):
        members[find(base(text))].append(index)
    return list(members.values())


def choose_test(variants: list[list[int]], labels: np.ndarray) -> np.ndarray:
    """Return which emoji are in the test split, bool `(N,)`.

    A set, in a random order, joins it unless more than `TEST_FRACTION` of the images of its class would be there.
    """
    in_test = np.zeros(len(labels), bool)
    limits = TEST_FRACTION * np.bincount(labels)
    # RandomState: unlike those of numpy's newer generators, its numbers never change
    for position in np.random.RandomState(SPLIT_SEED).permutation(len(variants)):
        members = variants[position]
        label = labels[members[0]]
        if in_test[labels == label].sum() + len(members) <= limits[label]:
            in_test[members] = True
    return in_test


def save(arrays: dict[str, np.ndarray]) -> None:
    """Write an npz file that is compressed by LZMA, which takes two thirds of the space of numpy's own compression."""
    with zipfile.ZipFile(IMAGES, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array)


def main() -> None:
    font = ImageFont.truetype(FONT, FONT_SIZE)
    texts, label_list = zip(*emoji(), strict=True)
    labels = np.array(label_list, np.uint8)
    images = np.stack([draw(text, font) for text in texts])
    variants = sets_of_variants(list(texts), images)
    in_test = choose_test(variants, labels)
    save(
        {
            "train_images": images[~in_test],
            "train_labels": labels[~in_test],
            "test_images": images[in_test],
            "test_labels": labels[in_test],
        }
    )
    print(len(variants), "sets of variants;", IMAGES.stat().st_size, "bytes")
    for split, members in (("train", ~in_test), ("test", in_test)):
        print(split, members.sum(), dict(zip(CLASSES, np.bincount(labels[members]).tolist(), strict=True)))


if __name__ == "__main__":
    main()
