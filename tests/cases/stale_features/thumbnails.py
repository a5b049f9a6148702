"""A feature extractor: images of 4 by 4 pixels. The case changes its scale."""

import torch

from ganbench import FeatureExtractorPlugin, hookimpl

SCALE = 255


class Thumbnails(torch.nn.Module):
    num_features = 16
    protocol = {"extractor": "thumbnails"}

    def forward(self, images):
        return torch.nn.functional.adaptive_avg_pool2d(images.float(), 4).mean(1).flatten(1) / SCALE


def build(options, context):
    return Thumbnails().eval()


@hookimpl
def ganbench_feature_extractors():
    return [FeatureExtractorPlugin(name="thumbnails", summary="Thumbnails", build=build)]
