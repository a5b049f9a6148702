"""Every shipped plugin keeps every rule of its contract: `ganbench plugin check` passes with these arguments."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import run_command

from ganbench import ExecutorContext, Registry
from ganbench.plugin.kinds import Kind
from ganbench.testing import ExecutorContract
from ganbench_executors import ganbench_executors

SMALL = "-o width=4 -o latent_dim=8"  # networks that train in milliseconds
R3GAN = "r3gan -o width=8 -o blocks=1"
COLOR = "--shape 3x32x32"
SCALARS = "--shape 1x1x1 --with model=scalar-players"
KID = "kid -o subsets=2 -o subset_size=16"

CHECKS: dict[Kind, list[str]] = {
    Kind.MODEL: [
        *("dcgan -o width=4", f"dcgan -o width=4 {COLOR}"),
        *(f"dcgan-radford {SMALL}", f"dcgan-radford {SMALL} -o kernel_size=4 {COLOR}"),
        f"dcgan-radford {SMALL} --shape 3x64x64",
        *(f"mimicry-resnet {SMALL}", f"mimicry-resnet {SMALL} -o variant=dcgan {COLOR}"),
        *("mlp -o width=8", "mlp -o width=8 --shape 2"),
        *(R3GAN, f"{R3GAN} -o conditional=true {COLOR}"),
        *("sngan-resnet -o width=2", f"sngan-resnet -o width=2 -o conditional=true {COLOR}"),
        "sngan-resnet -o width=2 --shape 3x64x64",
        *(f"wgan-gp-convnet {SMALL}", f"wgan-gp-convnet {SMALL} {COLOR}"),
        "scalar-players --shape 1x1x1 --with loss=bilinear",
        "dirac --shape 1x1x1 --with loss=dirac --with model=dirac",  # a model and a loss
        "softmax-policy --shape 3 --with loss=policy-gradient",
    ],
    Kind.LOSS: [
        *("bce", "hinge", "lsgan", "minimax", "rpgan", "wgan"),
        *(f"bilinear {SCALARS}", f"quadratic-saddle {SCALARS}"),
        "policy-gradient -o baseline=true --shape 3 --with model=softmax-policy",
    ],
    Kind.PENALTY: ["gradient-penalty", "gradient-penalty --shape 2", "r1", "r2"],
    Kind.AUGMENTATION: ["ada", "ada --shape 3x32x24", "diffaugment", f"diffaugment {COLOR}"],
    Kind.OPTIMIZER: [
        *("adam", "adamw", "sgd", "rmsprop", "optimistic", "extragradient", "gradient-descent"),
        "gradient-descent -o momentum=-0.5",
    ],
    Kind.SCHEDULE: [
        "constant -o value=1.0",
        "cosine -o start=1.0 -o end=0.1 -o kimg=1",
        "linear -o start=1.0",
        "robbins-monro -o start=1.0",
        "step -o start=1.0 -o every_kimg=0.5",
    ],
    Kind.DATASET: [
        *("emoji", "none", "gaussian-grid", "gaussian-ring -o train_points=800 -o test_points=80"),
        "fashion-mnist -o source=embedded",
    ],
    Kind.FEATURE_EXTRACTOR: ["fashion-cnn", "raw", "raw --shape 2", "raw -o size=8 --shape 3x32x30"],
    Kind.METRIC: [
        "density-coverage -o features=raw",  # with other features, the density of negatives may exceed 1
        "fid -o features=fashion-cnn",
        *(f"{KID} -o features=fashion-cnn", f"{KID} -o features=raw --shape 2"),
        "precision-recall -o features=fashion-cnn",
        f"distance {SCALARS} --with loss=bilinear",
    ],
    Kind.TRACKER: ["tensorboard", "trajectory"],
    Kind.EXECUTOR: ["local -o jobs=2"],
}
# plugins that need files, images of their own or another machine, with the test of their contract
ELSEWHERE = {
    **dict.fromkeys(("cifar10", "kmnist", "mnist", "stl10"), "tests/plugins/test_downloaded_datasets.py"),
    "digits": "tests/plugins/test_digits.py",
    "image-folder": "tests/plugins/test_image_folder.py",
    "dinov2": "tests/plugins/test_dinov2.py",
    "efficientnet-lite0": "tests/plugins/test_efficientnet_lite0.py",
    "inception-v3": "tests/plugins/test_inception_v3.py",
    "vgg16": "tests/plugins/test_vgg16.py",
    "inception-score": "tests/plugins/test_inception_score.py",
    "modes": "tests/plugins/test_modes.py",
    **dict.fromkeys(("mlflow", "trackio", "wandb"), "tests/plugins/test_trackers.py"),
    "slurm": "tests/plugins/test_shipped_plugins.py",
    "ray": "tests/plugins/test_shipped_plugins.py",
}
ARGUMENTS = [arguments for lines in CHECKS.values() for arguments in lines]
ONE_OF_EACH_KIND = [lines[0] for lines in CHECKS.values()]
OTHERS = [arguments for arguments in ARGUMENTS if arguments not in ONE_OF_EACH_KIND]


def check(arguments: str) -> str:
    """Check plugins, and return the output. Fails if a rule is broken."""
    outcome = run_command("plugin", "check", *arguments.split())
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def test_every_shipped_plugin_is_checked(registry: Registry) -> None:
    shipped = {found.plugin.name for found in registry.all_plugins() if found.plugin.kind is not Kind.BENCHMARK}
    assert shipped == {arguments.split()[0] for arguments in ARGUMENTS} | ELSEWHERE.keys()
    root = Path(__file__).parents[2]
    for file in ELSEWHERE.values():
        assert "Contract)" in (root / file).read_text(encoding="utf-8"), file


@pytest.mark.parametrize(
    "arguments", [*ONE_OF_EACH_KIND, *(pytest.param(arguments, marks=pytest.mark.slow) for arguments in OTHERS)]
)
def test_a_shipped_plugin_keeps_every_rule(arguments: str) -> None:
    assert check(arguments).count("  pass  ") >= 5


@pytest.mark.slow
def test_every_shipped_benchmark_keeps_every_rule(registry: Registry) -> None:
    for registered in registry.of_kind(Kind.BENCHMARK):
        check(registered.plugin.name)


class TestSlurm(ExecutorContract):
    """Needs a cluster."""

    plugin = next(plugin for plugin in ganbench_executors() if plugin.name == "slurm")
    options = {"poll_seconds": 0.2, "cpus": 1}

    @pytest.fixture(autouse=True)
    def cluster(self) -> None:
        pytest.importorskip("submitit")
        if shutil.which("sinfo") is None or subprocess.run(["sinfo"], capture_output=True).returncode:
            pytest.skip("no Slurm is running here")


class TestRay(ExecutorContract):
    """Needs Ray, and a cluster at its default address."""

    plugin = next(plugin for plugin in ganbench_executors() if plugin.name == "ray")

    @pytest.fixture(autouse=True)
    def cluster(self, tmp_path: Path) -> None:
        ray = pytest.importorskip("ray")
        try:
            ray.init(address="auto")
        except ConnectionError:
            pytest.skip("no Ray cluster is running here")
        ray.shutdown()

    def context(self) -> ExecutorContext:
        return ExecutorContext(directory=self.new_folder(), device="cpu")
