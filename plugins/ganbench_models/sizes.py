"""The image sizes of the convolutional models: how often a generator doubles its first feature maps."""

from __future__ import annotations

from ganbench import BuildContext, UsageError

# from an image's side to the side of the first feature maps and the number of doublings: 32 = 4 * 2 * 2 * 2, as in the
# papers, and 28 = 7 * 2 * 2, for MNIST and FashionMNIST
SIDES = {first << doublings: (first, doublings) for doublings in (2, 3) for first in (4, 5, 6, 7)} | {64: (4, 4)}


def first_size(context: BuildContext, model: str) -> tuple[int, int]:
    """Return the side of the generator's first feature maps and the number of doublings up to the image's side.

    Raises `UsageError` for images that are not square or have another side.
    """
    _, height, width = context.image_shape
    if height != width or height not in SIDES:
        *sides, last = sorted(SIDES)
        raise UsageError(
            f"model '{model}' requires square images with sides of {', '.join(map(str, sides))} or {last} pixels, but "
            f"this dataset has {height}x{width}; use another model, such as 'dcgan', or set "
            "dataset.size if the dataset has this option"
        )
    return SIDES[height]


def require_classes(context: BuildContext, model: str) -> None:
    """Raise `UsageError` if the data has no classes on which a conditional model could depend."""
    if context.num_classes < 2:
        raise UsageError(
            f"model '{model}' has conditional = true, but this dataset has no classes (num_classes is "
            f"{context.num_classes}); set model.conditional=false, or use a dataset with labels"
        )
