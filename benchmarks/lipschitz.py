"""Measure whether WGAN-GP's penalty and spectral normalization do what they are for.

python -m benchmarks.lipschitz --out benchmarks/results/cpu-2-cores/lipschitz.json

Trains `wgan-gp-fashion` on the embedded subset, and computes the norms of the critic's gradients with autograd, at new
interpolates between real images of the test split and new generated images: in train mode, with the dropout with which
the penalty is computed, and in eval mode. Trains `sngan-emoji` with a constant learning rate, and computes the largest
singular value of each effective weight of the discriminator by a singular value decomposition.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import ganbench

from .results_file import write_results

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGES = 1_000
NORMS = (0.8, 1.2)
MODES = ("train", "eval")
SN_STEPS = 200
SEED = 1  # of the interpolates


def main(
    steps: Annotated[int, typer.Option(help="Generator updates of WGAN-GP, with five critic updates each.")] = 800,
    every: Annotated[int, typer.Option(help="Measure the gradients every so many steps.")] = 400,
    width: Annotated[int, typer.Option(help="Option `width` of WGAN-GP's model; the benchmark has 64.")] = 8,
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sigmas = train_sngan(Path(folder) / "sngan")
        print(
            f"largest singular values after {SN_STEPS} steps: {min(sigmas.values()):.5f} to {max(sigmas.values()):.5f}"
        )
        norms = train_wgan_gp(Path(folder) / "wgan-gp", steps, every, width)
    if out is not None:
        setting = {"steps": steps, "width": width, "images": IMAGES, "spectral_norm_steps": SN_STEPS, "seed": SEED}
        write_results(out, setting, "cpu", {"gradient_norms": norms, "largest_singular_values": sigmas})


def train_wgan_gp(out: Path, steps: int, every: int, width: int) -> list[dict[str, Any]]:
    """Train in parts, and measure after each."""
    overrides = ["dataset.source=embedded", f"model.width={width}", "metrics=[]", "sample_images.at_epochs=[]"]
    run = ganbench.run("wgan-gp-fashion", *overrides, steps=every, device="cpu", out=out, quiet=True)
    measured = [measure(run, every)]
    for number in range(2 * every, steps + 1, every):
        measured.append(measure(ganbench.run(resume=out, steps=number, device="cpu", quiet=True), number))
    return measured


def measure(run: ganbench.Run, step: int) -> dict[str, Any]:
    if run.result.status != "completed":
        raise SystemExit(f"the run is {run.result.status} before step {step}")
    images = interpolates(run)
    by_mode = {mode: summary(gradient_norms(run.discriminator.train(mode == "train"), images)) for mode in MODES}
    shown = ", ".join(f"{mode} mode {each['mean']:.3f}" for mode, each in by_mode.items())
    print(f"step {step}: mean gradient norm in {shown}", flush=True)
    return {"step": step, **by_mode}


def interpolates(run: ganbench.Run) -> Tensor:
    """Return points at random places between pairs of real and generated images, `(IMAGES, C, H, W)`."""
    import torch

    from ganbench_datasets.fashion_mnist.sources import embedded_subset

    test = embedded_subset().test
    assert test is not None
    real = torch.stack([test[index][0] for index in range(IMAGES)]).float() / 127.5 - 1
    rng = torch.Generator().manual_seed(SEED)
    latents = torch.randn(IMAGES, run.latent_dim, generator=rng)
    generator = run.generator.train()  # batch statistics, as in training
    with torch.no_grad():
        generated = torch.cat([generator(batch) for batch in latents.split(64)])
    places = torch.rand(IMAGES, 1, 1, 1, generator=rng)
    return places * real + (1 - places) * generated


def gradient_norms(critic: nn.Module, images: Tensor) -> Tensor:
    """Return the Euclidean norm of the gradient of the critic at each image, `(N,)`."""
    import torch

    torch.manual_seed(SEED)  # of dropout
    inputs = images.clone().requires_grad_()
    (gradients,) = torch.autograd.grad(critic(inputs).sum(), inputs)
    return gradients.flatten(1).norm(dim=1)


def summary(norms: Tensor) -> dict[str, float]:
    low, high = NORMS
    return {
        "mean": norms.mean().item(),
        "5%": norms.quantile(0.05).item(),
        "95%": norms.quantile(0.95).item(),
        f"share_from_{low}_to_{high}": ((norms >= low) & (norms <= high)).float().mean().item(),
    }


def train_sngan(out: Path) -> dict[str, float]:
    """Return the largest singular value of each spectrally normalized weight, by its name."""
    from torch.linalg import matrix_norm
    from torch.nn.utils.parametrize import is_parametrized

    # a learning rate that ends at 0 would let the estimates converge
    rates = [f"optimizer.{network}.lr=1e-3" for network in ("generator", "discriminator")]
    run = ganbench.run(
        "sngan-emoji",
        *rates,
        "metrics=[]",
        "sample_images.at_epochs=[]",
        steps=SN_STEPS,
        device="cpu",
        out=out,
        quiet=True,
    )
    discriminator = run.discriminator  # in eval mode: reading a weight is no power iteration
    return {
        name: matrix_norm(module.weight.detach().double().flatten(1), ord=2).item()
        for name, module in discriminator.named_modules()
        if is_parametrized(module, "weight")
    }


if __name__ == "__main__":
    typer.run(main)
