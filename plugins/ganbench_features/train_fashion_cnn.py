"""Train the `fashion-cnn` feature extractor and save its weights.

python -m ganbench_features.train_fashion_cnn DATA_DIR

SGD with a one-cycle learning rate on the full train split, with random horizontal flips of each image and random
translations of each batch by up to two pixels. Prints the test accuracy after each epoch, and finally the SHA-256 to
copy to `fashion_cnn.py`.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from ganbench_datasets.fashion_mnist.sources import load

from .fashion_cnn import WEIGHTS, FashionCNN

EPOCHS = 15
BATCH_SIZE = 128
MAX_LR = 0.1
SEED = 0


def augment(images: Tensor) -> Tensor:
    """Flip half of the images (N, 1, 28, 28) and translate the whole batch by up to two pixels in each direction."""
    flipped = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(-1), images)
    down, right = torch.randint(0, 5, (2,)).tolist()
    return nn.functional.pad(flipped, (2, 2, 2, 2))[..., down : down + 28, right : right + 28]


@torch.no_grad()
def accuracy(network: FashionCNN, images: Tensor, labels: Tensor) -> float:
    network.eval()
    predictions = torch.cat([network.classify(batch).argmax(1) for batch in images.split(1000)])
    network.train()
    return (predictions == labels).double().mean().item()


def train(data_dir: Path) -> FashionCNN:
    data = load("files", data_dir)
    assert isinstance(data.train, TensorDataset)
    assert isinstance(data.test, TensorDataset)
    images, labels = data.train.tensors
    torch.manual_seed(SEED)
    network = FashionCNN().train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=MAX_LR, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = EPOCHS * -(-len(images) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, MAX_LR, total_steps=steps)
    for epoch in range(1, EPOCHS + 1):
        for indices in torch.randperm(len(images)).split(BATCH_SIZE):
            logits = network.classify(augment(images[indices]))
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, labels[indices], label_smoothing=0.05).backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch}: test accuracy {accuracy(network, *data.test.tensors):.4f}", flush=True)
    return network


def main() -> None:
    network = train(Path(sys.argv[1]))
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, WEIGHTS)
    print(f"{WEIGHTS}: SHA-256 {hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
