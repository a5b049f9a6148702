"""Train in a worker of multiprocessing.Pool, and print the status of the run."""

from multiprocessing import get_context
from pathlib import Path

import ganbench
from ganbench.plugin.registry import Registry

OVERRIDES = [
    *("dataset=streamed", "model.width=4", "metrics=[]", "training.batch_size=8", "training.steps=4"),
    *("sample_images.real=0", "sample_images.generated=0"),
]


def train(out):
    spec, _ = ganbench.load_spec("dcgan-fashion", Registry.load(["streamed.py"]), OVERRIDES)
    return ganbench.run(spec, device="cpu", out=Path(out))[0].status


if __name__ == "__main__":
    with get_context("spawn").Pool(1) as pool:
        print(*pool.map(train, ["out"]))
