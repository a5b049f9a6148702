"""Train several seeds of the homework's GAN on one GPU at once, as streams of a process and as processes: does it pay?

python -m benchmarks.shared_gpu --seconds 3 --out shared_gpu.json

Each seed has a step of its own, captured as a CUDA graph on a stream of its own and with a random number generator of
its own. First compares, bit by bit, the weights of seeds that were trained at the same time with those of the same
seeds trained one after another. Then measures the images per second of all seeds together. Processes are measured
without and, where it is available, with NVIDIA's Multi-Process Service (MPS), by which they share the GPU at the same
time instead of in turns.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, cast

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import softplus

from benchmarks.loops.setting import LATENT_DIM, LEARNING_RATE, WARMUP_STEPS, Setting
from ganbench.runtime.precision import deterministic_convolutions

from .results_file import write_results

if TYPE_CHECKING:
    from ganbench_datasets.fashion_mnist.sources import Source

COMPARED_STEPS = 100
WITH_MPS = "processes with MPS"
MPS = "nvidia-cuda-mps-control"  # https://docs.nvidia.com/deploy/mps/


class Seed:
    """A seed of the GAN, whose step is captured."""

    def __init__(self, setting: Setting, images: Tensor, seed: int) -> None:
        self.setting, self.images = setting, images
        self.stream = torch.cuda.Stream()
        self.players = setting.players()
        self.optimizers = [
            torch.optim.Adam(player.parameters(), lr=LEARNING_RATE, fused=True, capturable=True)
            for player in self.players
        ]
        default = torch.cuda.default_generators[images.device.index]
        others = default.clone_state()
        default.graphsafe_set_state(default.clone_state())  # from here on, a state that only this seed draws from
        default.manual_seed(seed)
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(WARMUP_STEPS):
                self.step()
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.step()
        default.graphsafe_set_state(others)

    def step(self) -> None:
        """The hand-tuned loop's step, with images drawn at random."""
        (generator, discriminator), (optimizer_g, optimizer_d) = self.players, self.optimizers
        size, device = self.setting.batch_size, self.images.device
        indices = torch.randint(len(self.images), (size,), device=device)
        real = self.images[indices].float().div_(127.5).sub_(1)
        with torch.no_grad():
            fake = generator(torch.randn(size, LATENT_DIM, device=device))
        loss_d = softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()
        optimizer_d.zero_grad()
        loss_d.backward()
        optimizer_d.step()
        discriminator.requires_grad_(False)
        fake = generator(torch.randn(size, LATENT_DIM, device=device))
        loss_g = softplus(-discriminator(fake)).mean()
        optimizer_g.zero_grad()
        loss_g.backward()
        optimizer_g.step()
        discriminator.requires_grad_(True)

    def replay(self) -> None:
        with torch.cuda.stream(self.stream):
            self.graph.replay()

    def weights(self) -> Tensor:
        return torch.cat([parameter.detach().flatten() for player in self.players for parameter in player.parameters()])


def equal_bits(setting: Setting, images: Tensor, seeds: int) -> bool:
    """Return whether seeds trained at the same time end with the same weights as when trained one after another."""
    alone = []
    for number in range(seeds):
        seed = Seed(setting, images, number)
        for _ in range(COMPARED_STEPS):
            seed.replay()
        torch.cuda.synchronize()
        alone.append(seed.weights())
    together = [Seed(setting, images, number) for number in range(seeds)]
    for _ in range(COMPARED_STEPS):
        for seed in together:
            seed.replay()
    torch.cuda.synchronize()
    return all(torch.equal(seed.weights(), weights) for seed, weights in zip(together, alone, strict=True))


def images_per_second(setting: Setting, seeds: list[Seed]) -> float:
    """Return the throughput of all seeds together. At most 8 steps of each are queued."""
    events = [[torch.cuda.Event() for _ in range(8)] for _ in seeds]
    torch.cuda.synchronize()
    start, steps = perf_counter(), 0
    while perf_counter() - start < setting.seconds:
        for seed, recorded in zip(seeds, events, strict=True):
            recorded[steps % 8].synchronize()
            seed.replay()
            recorded[steps % 8].record(seed.stream)
        steps += 1
    torch.cuda.synchronize()
    return steps * len(seeds) * setting.batch_size / (perf_counter() - start)


def by_processes(count: int, variables: Mapping[str, str]) -> float:
    """Return the throughput of `count` processes with a seed each, which begin together.

    Raises `ChildProcessError` if one fails.
    """
    command = [sys.executable, "-m", "benchmarks.shared_gpu", *sys.argv[1:], "--inside"]
    children = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}
        )
        for _ in range(count)
    ]
    ready = []
    for child in children:
        assert child.stdout is not None
        ready.append(child.stdout.readline() == "ready\n")
    if not all(ready):
        for child in children:
            child.kill()
            child.wait()
        raise ChildProcessError("a process failed")
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    return sum(float(child.communicate()[0]) for child in children)


def by_processes_with_mps(count: int) -> float:
    """Return the throughput of processes that share the GPU through MPS; NaN, with a message, if that fails."""
    with tempfile.TemporaryDirectory() as folder:
        variables = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        environment = {**os.environ, **variables}
        try:
            subprocess.run([MPS, "-d"], env=environment, check=True)
            return by_processes(count, variables)
        except (ChildProcessError, subprocess.CalledProcessError) as error:
            print(f"MPS: {error}", file=sys.stderr)
            return math.nan
        finally:
            subprocess.run([MPS], input="quit\n", text=True, env=environment)


def main(
    device: str = "cuda:0",
    seconds: Annotated[float, typer.Option(help="Time of each measurement, in seconds.")] = 3.0,
    counts: Annotated[str, typer.Option(help="Numbers of seeds, separated by commas.")] = "1,2,4,8",
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "files",
    data_dir: Path | None = None,
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
    inside: Annotated[bool, typer.Option(hidden=True)] = False,  # run as one of several processes
) -> None:
    setting = Setting(device, "tf32", 64, seconds, cast("Source", source), data_dir)
    with setting.conditions(), deterministic_convolutions():
        images = setting.images()[0].to(torch.device(device))
        if inside:
            seed = Seed(setting, images, 0)
            print("ready", flush=True)
            sys.stdin.readline()
            print(images_per_second(setting, [seed]))
            return
        figures: dict[str, Any] = {"equal_bits": equal_bits(setting, images, seeds=4)}
        with_mps = shutil.which(MPS) is not None
        rates: dict[str, dict[str, float]] = {"streams": {}, "processes": {}, **({WITH_MPS: {}} if with_mps else {})}
        for count in map(int, counts.split(",")):
            seeds = [Seed(setting, images, number) for number in range(count)]
            rates["streams"][str(count)] = images_per_second(setting, seeds)
            del seeds
            rates["processes"][str(count)] = by_processes(count, {})
            if with_mps:
                rates[WITH_MPS][str(count)] = by_processes_with_mps(count)
            print(count, {way: f"{measured[str(count)]:,.0f}" for way, measured in rates.items()}, flush=True)
            if out is not None:
                write_results(out, {"seconds": seconds}, device, {**figures, "images_per_second": rates})
    show(rates)
    print("weights of seeds trained at the same time:", "equal bits" if figures["equal_bits"] else "they differ")


def show(rates: dict[str, dict[str, float]]) -> None:
    table = Table("seeds", *(f"{way}, images/s" for way in rates), *(f"{way}, times one seed" for way in rates))
    for count in rates["streams"]:
        measured = [by_count[count] for by_count in rates.values()]
        alone = [next(iter(by_count.values())) for by_count in rates.values()]
        ratios = [rate / one for rate, one in zip(measured, alone, strict=True)]
        table.add_row(count, *(f"{rate:,.0f}" for rate in measured), *(f"{ratio:.2f}" for ratio in ratios))
    Console(width=120).print(table)


if __name__ == "__main__":
    typer.run(main)
