"""`dinov2`: the class token of DINOv2, for the Fréchet distance of Stein et al. (extra `dinov2`).

Stein et al. 2023 (arXiv:2306.04675) recommend DINOv2 (Oquab et al. 2023, arXiv:2304.07193) instead of Inception. The
network is timm's. Images are prepared as by the paper's code, `layer6ai-labs/dgm-eval`.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ganbench import MissingError

from .imagenet import ImageNetNormalization
from .published_weights import file_sha256, find_weights, wrap_errors

URL = "https://dl.fbaipublicfiles.com/dinov2/dinov2_{model}/dinov2_{model}_pretrain.pth"
MODELS = {  # timm's name, and the SHA-256 of the authors' weights
    "vitl14": ("vit_large_patch14_dinov2", "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"),
    "vitb14": ("vit_base_patch14_dinov2", "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"),
    "vits14": ("vit_small_patch14_dinov2", "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"),
}
SIZE = 224
PATCHES = 16  # of 14 pixels, along each side
TRAINED_PATCHES = 37  # those of the 518 pixels for which the weights have position embeddings
AT_ONCE = 32  # images, to bound the memory


class DINOv2(nn.Module):
    """Maps uint8 images `(N, 1 or 3, H, W)` to features `(N, num_features)`, float32.

    There are 1,024 features with vitl14, 768 with vitb14 and 384 with vits14: the class token after the last
    normalization. Images are resized to 224x224 as by PIL, and normalized. 81, 23 and 6 billion multiply-accumulate
    operations per image.
    """

    def __init__(self, model: str, weights: Path) -> None:
        import timm

        super().__init__()
        self.normalize = ImageNetNormalization()
        with torch.device("meta"):  # without random weights, which the file replaces
            network = timm.create_model(MODELS[model][0], img_size=SIZE, num_classes=0)
        with wrap_errors("dinov2", weights, f"DINOv2's weights of {model}"):
            tensors = torch.load(weights, weights_only=True, map_location="cpu")
            tensors.pop("mask_token", None)  # only used in training
            tensors["pos_embed"] = resample_positions(tensors["pos_embed"])
            network.load_state_dict(tensors, assign=True)
        self.network = network
        self.num_features = int(network.num_features)  # type: ignore[arg-type] # timm does not declare it
        self.protocol: dict[str, Any] = {
            "extractor": "dinov2",
            "weights_sha256": file_sha256(weights),
            "position_embeddings": f"{PATCHES}x{PATCHES}, bicubic, as in the authors' code",
            "resize": f"{SIZE}x{SIZE}, bicubic, antialiased, rounded as by PIL",
            "normalization": self.normalize.description,
        }
        self.software = {"timm": version("timm")}

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.network(self.normalize(resize(some))) for some in images.split(AT_ONCE)])


def resize(images: Tensor) -> Tensor:
    """Resize images `(N, C, H, W)` to 224x224 as PIL does: the width and then the height, each rounded to 8 bits."""
    pixels = images.float()
    for size in ((images.shape[2], SIZE), (SIZE, SIZE)):
        pixels = interpolate(pixels, size, mode="bicubic", antialias=True).add(0.5).floor().clamp(0, 255)
    return pixels


def resample_positions(positions: Tensor) -> Tensor:
    """Resample position embeddings `(1, 1 + 37 * 37, D)` to `(1, 1 + 16 * 16, D)`; the first is the class token's.

    DINOv2's code (`facebookresearch/dinov2`, `interpolate_pos_encoding`) adds 0.1 to the size, and does not antialias.
    timm does this differently, which changes the features.
    """
    grid = positions[:, 1:].unflatten(1, (TRAINED_PATCHES, TRAINED_PATCHES)).permute(0, 3, 1, 2)
    grid = interpolate(grid, scale_factor=(PATCHES + 0.1) / TRAINED_PATCHES, mode="bicubic")
    return torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2)], 1)


def load_extractor(model: str, weights: Path | None, device: str) -> DINOv2:
    """Return the network `model`, with weights from `weights`, the torch hub cache or a download.

    Raises `MissingError` if timm or the weights are unavailable, and `DataError` for an invalid file.
    """
    if find_spec("timm") is None:
        raise MissingError("feature extractor 'dinov2' requires timm; run pip install 'ganbench[dinov2]'")
    path = find_weights("dinov2", URL.format(model=model), MODELS[model][1], weights)
    return DINOv2(model, path).to(device).eval().requires_grad_(False)
