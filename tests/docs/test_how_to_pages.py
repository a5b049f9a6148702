"""The how-to pages work: what they say to write and to type leads to a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import run_command
from conftest import SMALL
from documented_commands import commands_in
from torch import Tensor

from ganbench import Registry
from ganbench.plugin.kinds import Kind
from ganbench.results.schema import Result, load_result
from ganbench.spec.loading import load_spec
from ganbench.spec.matrix import make_cells, read_suite_file
from ganbench.training.schedules import scheduled_options

DOCS = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def commands(name: str, command: str) -> list[list[str]]:
    """The arguments of each `ganbench COMMAND` in the code blocks of a page."""
    found = [each.words for each in commands_in(name, page(name)) if each.complete]
    return [list(words[1:]) for words in found if words[:2] == ("ganbench", command)]


def invoke(*arguments: str) -> str:
    outcome = run_command(*arguments)
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def run(arguments: list[str], *overrides: str) -> Result:
    """Run a command of a page for two steps."""
    if "--steps" in arguments:
        position = arguments.index("--steps")
        del arguments[position : position + 2]
    invoke(*arguments, "--steps", "2", *(word for each in overrides for word in ("-o", each)), "--out", "run")
    return load_result("run")


@pytest.mark.slow
def test_the_loss_of_the_page_keeps_the_contract_and_trains() -> None:
    text = page("own-loss")
    (name, code), *_ = re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", text, re.DOTALL)
    Path(name).write_text(code, encoding="utf-8")
    (check,), (training,) = commands("own-loss", "plugin"), commands("own-loss", "run")
    assert "fail" not in invoke(*check)
    result = run(training, *SMALL)
    assert result.spec["loss"] == {"name": "softplus", "real_weight": 0.9}
    assert list(result.history[0].monitors) == ["real_logit"]


def test_the_suite_of_the_page_has_a_cell_for_each_loss_and_seed() -> None:
    text = page("own-loss")
    for name, block in re.findall(r"this as `(\S+)`:\n\n(?:<!-- .* -->\n)?```\w+\n(.*?)```", text, re.DOTALL):
        Path(name).write_text(block, encoding="utf-8")
    suite = read_suite_file(Path("losses.toml"))
    assert len(make_cells(suite, Registry.load(["softplus.py"]), Path())) == 10


def test_the_recipe_of_r3gan_is_a_spec_with_the_published_settings(registry: Registry) -> None:
    (recipe,) = re.findall(r"```toml\n(.*?)```", page("models"), re.DOTALL)
    Path("recipe.toml").write_text(recipe, encoding="utf-8")
    spec = load_spec("recipe.toml", registry)
    assert spec.model.options.conditional
    assert spec.training.horizontal_flips
    assert spec.training.batch_size == 512
    assert 0 <= spec.training.steps * 512 - 250_000_000 < 512
    ends = {option.path: option.config.options.model_dump()["end"] for option in scheduled_options(spec)}
    assert ends == {
        "optimizer.generator.lr": 5e-5,
        "optimizer.discriminator.lr": 5e-5,
        "penalties.0.weight": 0.005,
        "penalties.1.weight": 0.005,
        "augmentations.0.p": 0.55,
        "ema.half_life_kimg": 5000,
    }


@pytest.mark.parametrize("kind", [Kind.LOSS, Kind.PENALTY, Kind.AUGMENTATION, Kind.OPTIMIZER, Kind.SCHEDULE])
def test_the_page_of_losses_has_every_shipped_plugin_with_its_options(kind: Kind, registry: Registry) -> None:
    text = page("losses")
    for registered in registry.of_kind(kind):
        if registered.provider.module != "ganbench_games":
            assert f"\n| `{registered.plugin.name}` |" in text
            for option in registered.plugin.options.model_fields:
                assert re.search(rf"`[^`]*\b{option}\b[^`]*`", text), (registered.plugin.name, option)


@pytest.mark.filterwarnings("ignore:FID")
def test_a_folder_of_images_as_on_the_page_trains(images: Tensor) -> None:
    from PIL import Image

    pixels = ((images[:60, 0] + 1) * 127.5).byte().numpy()
    for number, image in enumerate(pixels):
        folder = Path("photos", ("cats", "dogs")[number % 2])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize((50, 40)).convert("RGB").save(folder / f"{number:03}.png")
    training, _ = commands("own-images", "run")
    result = run(training, "model.width=8", "metrics.0.num_samples=20", "training.batch_size=8")
    assert (result.data.data_shape, result.data.num_classes) == ((3, 32, 32), 2)
    assert result.scores["fid"] > 0
