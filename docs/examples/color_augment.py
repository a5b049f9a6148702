"""The color part of DiffAugment (Zhao et al. 2020).

ganbench run dcgan-fashion -p color_augment.py -o 'augmentations=["color"]'
"""

from ganbench import AugmentationPlugin, hookimpl


def color(images):
    import torch

    def uniform(low, high):
        return low + (high - low) * torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)

    images = images + uniform(-0.5, 0.5)
    gray = images.mean(1, keepdim=True)
    images = (images - gray) * uniform(0, 2) + gray
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * uniform(0.5, 1.5) + mean


@hookimpl
def ganbench_augmentations():
    return [AugmentationPlugin(name="color", summary="Color of DiffAugment", build=lambda options, context: color)]
