"""Train in a worker of multiprocessing.Pool, and print the status of the run."""

from multiprocessing import get_context

import ganbench

OVERRIDES = [
    *("dataset=streamed", "model.width=4", "metrics=[]", "training.batch_size=8", "training.steps=4"),
    *("sample_images.real=0", "sample_images.generated=0"),
]


def train(out):
    run = ganbench.run("dcgan-fashion", *OVERRIDES, plugins=["streamed.py"], device="cpu", out=out, quiet=True)
    return run.result.status


if __name__ == "__main__":
    with get_context("spawn").Pool(1) as pool:
        print(*pool.map(train, ["out"]))
