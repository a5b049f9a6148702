"""Compare the dataset `image-folder` with torchvision's ImageFolder: time per epoch, pixels, and training.

python -m benchmarks.image_folder_speed --out benchmarks/results/cpu-2-cores/image_folder_speed.json

Writes the emoji, enlarged to 128x128 pixels, as PNG files, and reads them at 64x64 pixels in shuffled, normalized
batches. ganbench decodes all files before its first epoch; ImageFolder decodes them in each epoch, in two worker
processes. Both resize with PIL's Lanczos filter. Then trains `sngan-emoji` on the files three times: decoded anew, from
the cache, and on the images as ImageFolder returns them; losses and weights must be bitwise identical.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated, Any

import typer

from ganbench import DatasetContext, DatasetPlugin, ImageData, Options, hookimpl

from .fresh_process import in_fresh_process
from .results_file import write_results
from .rounds import alternating

BATCH_SIZE = 64
SIZE = 64
WORKERS = 2
STEPS = 20
PATH = "BENCHMARK_FOLDER"  # environment variable, for the plugin below


def main(
    images: Annotated[int, typer.Option(min=BATCH_SIZE, help="Number of PNG files.")] = 5_000,
    rounds: Annotated[int, typer.Option(min=1, help="Each round measures both datasets once.")] = 5,
    epochs: Annotated[int, typer.Option(min=2, help="Epochs in each measurement.")] = 4,
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
    only: Annotated[str | None, typer.Option(hidden=True)] = None,  # what to do in this worker process
    folder: Annotated[Path | None, typer.Option(hidden=True)] = None,  # with the images, for the worker
) -> None:
    if only is not None:
        assert folder is not None
        print(json.dumps(measure(only, folder, epochs) if only in EPOCHS else train(only, folder)))
        return
    seconds: dict[str, list[list[float]]] = {name: [] for name in EPOCHS}
    with tempfile.TemporaryDirectory(prefix="ganbench-png-") as name:
        write_images(Path(name), images)
        for number, reader in alternating(EPOCHS, rounds):
            with tempfile.TemporaryDirectory() as cache:
                seconds[reader].append(work(reader, Path(name), epochs, cache))
            print(f"round {number + 1}, {reader}: {seconds[reader][-1]}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as cache:
            trained = {
                title: work(dataset, Path(name), epochs, cache)
                for title, dataset in (
                    ("decoded anew", "image-folder"),
                    ("from the cache", "image-folder"),
                    ("as ImageFolder returns them", "torchvision-folder"),
                )
            }
    same = len(set(trained.values())) == 1
    print(render(seconds))
    print(f"training is {'bitwise identical' if same else 'DIFFERENT'}: {trained}")
    if out is not None:
        setting = {"images": images, "rounds": rounds, "epochs": epochs, "size": SIZE, "workers": WORKERS}
        figures = {"seconds_of_each_epoch": seconds, "sha256_of_training": trained, "training_is_identical": same}
        write_results(out, setting, "cpu", figures)
    if not same:
        raise SystemExit(1)


def write_images(folder: Path, count: int) -> None:
    """Write emoji to a folder for each class, mirrored if there are more files than emoji."""
    from PIL import Image, ImageOps

    from ganbench import load_spec

    spec = load_spec("sngan-emoji")
    data: ImageData = spec.dataset.build(DatasetContext(data_dir=folder, cache_dir=folder, seed=0))
    assert data.test is not None
    items = [split[index] for split in (data.train, data.test) for index in range(len(split))]
    for number in range(count):
        pixels, label = items[number % len(items)]
        image = Image.fromarray(pixels.permute(1, 2, 0).numpy()).resize((128, 128), Image.Resampling.BICUBIC)
        path = folder / f"{int(label)}" / f"{number:05}.png"
        path.parent.mkdir(exist_ok=True)
        (ImageOps.mirror(image) if number >= len(items) else image).save(path)


def work(only: str, folder: Path, epochs: int, cache: str) -> Any:
    """Do a part in a process of its own."""
    options = ["--only", only, "--folder", str(folder), "--epochs", str(epochs)]
    environment = {"XDG_CACHE_HOME": cache, PATH: str(folder)}
    return in_fresh_process("benchmarks.image_folder_speed", options, **environment)


def measure(reader: str, folder: Path, epochs: int) -> list[float]:
    """Return the seconds of each epoch; the first includes opening the folder."""
    seconds = []
    start = perf_counter()
    epoch = EPOCHS[reader](folder)
    for _ in range(epochs):
        total = 0.0
        for batch in epoch():
            total += float(batch[0, 0, 0, 0])  # the batch has to exist
        end = perf_counter()
        seconds.append(end - start)
        start = end
    return seconds


def open_with_ganbench(folder: Path) -> Callable[[], Iterator[Any]]:
    import torch

    from ganbench.data.batches import make_batches
    from ganbench.system.files import cache_dir
    from ganbench_datasets.image_folder import ImageFolderOptions, build

    options = ImageFolderOptions(path=folder, size=SIZE, test_fraction=0)
    data = build(options, DatasetContext(data_dir=folder, cache_dir=cache_dir(), seed=0))
    batches = make_batches(data.train, BATCH_SIZE, torch.device("cpu"), torch.Generator().manual_seed(0))
    return lambda: (batches.load(*inputs)[0] for inputs in batches.epoch())


def open_with_torchvision(folder: Path) -> Callable[[], Iterator[Any]]:
    from torch.utils.data import DataLoader
    from torchvision.transforms import Compose, Normalize, ToTensor

    dataset = image_folder(folder, Compose([*resize(), ToTensor(), Normalize((0.5,) * 3, (0.5,) * 3)]))
    loader = DataLoader(dataset, BATCH_SIZE, shuffle=True, num_workers=WORKERS, persistent_workers=True)
    return lambda: (images for images, _ in loader)


EPOCHS: dict[str, Callable[[Path], Callable[[], Iterator[Any]]]] = {
    "ganbench": open_with_ganbench,
    "torchvision": open_with_torchvision,
}


def resize() -> list[Any]:
    from torchvision.transforms import InterpolationMode, Resize

    return [Resize((SIZE, SIZE), InterpolationMode.LANCZOS)]


def image_folder(folder: Path, transform: Any) -> Any:
    from torchvision.datasets import ImageFolder

    return ImageFolder(str(folder), transform)


def train(dataset: str, folder: Path) -> str:
    """Return a hash of the losses and weights after a few steps on a dataset."""
    import ganbench

    chosen = {"image-folder": f'{{name="image-folder",path="{folder}",size={SIZE},test_fraction=0}}'}
    overrides = [f"dataset={chosen.get(dataset, dataset)}", "metrics=[]", "sample_images.at_epochs=[]"]
    with tempfile.TemporaryDirectory() as parent:
        out, plugins = Path(parent) / "run", ["benchmarks.image_folder_speed"]
        run = ganbench.run(
            "sngan-emoji", *overrides, "model.width=4", steps=STEPS, device="cpu", out=out, plugins=plugins, quiet=True
        )
        state = [run.generator.state_dict(), run.discriminator.state_dict()]
        losses = [(row.d_loss, row.g_loss) for row in run.result.history]
    content = hashlib.sha256(json.dumps(losses).encode())
    for tensors in state:
        for name, tensor in tensors.items():
            content.update(name.encode() + tensor.numpy().tobytes())
    return content.hexdigest()


def build(options: Options, context: DatasetContext) -> ImageData:
    """Read all images with torchvision's ImageFolder."""
    import torch
    from torch.utils.data import TensorDataset
    from torchvision.transforms import Compose, PILToTensor

    dataset = image_folder(Path(os.environ[PATH]), Compose([*resize(), PILToTensor()]))
    images, labels = zip(*dataset, strict=True)
    split = TensorDataset(torch.stack(images), torch.tensor(labels))
    return ImageData(
        train=split, test=None, num_classes=len(dataset.classes), source="files", fingerprint="torchvision"
    )


@hookimpl
def ganbench_datasets() -> list[DatasetPlugin]:
    return [
        DatasetPlugin(name="torchvision-folder", summary="A folder read by torchvision", options=Options, build=build)
    ]


def render(seconds: dict[str, list[list[float]]]) -> str:
    """Return a Markdown table of the first and of later epochs, with the ratios of each round."""
    lines = ["| Epoch | ganbench, s | ImageFolder, s | ganbench ÷ ImageFolder |", "|---|---|---|---|"]
    for title, of in (("first", lambda epochs: epochs[0]), ("later", lambda epochs: median(epochs[1:]))):
        ours, theirs = ([of(epochs) for epochs in seconds[reader]] for reader in EPOCHS)
        ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
        compared = f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        lines.append(f"| {title} | {median(ours):.2f} | {median(theirs):.2f} | {compared} |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
