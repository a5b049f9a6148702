"""Smaller last batches and drop_last, buffers of any size, NaN, and images out of range."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from linear_gan import OVERRIDES, SCORED, Noting, own_run, plugin
from run_spec import run

from ganbench import PluginError
from ganbench.spec.loading import load_spec

NORM = """
def build_model(options, context):
    norm = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    return Networks(generator(), norm, LATENT)
"""


def test_the_error_for_a_last_batch_of_one_image_names_drop_last(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"model 'own' .*which has 1 image, as 40 .* -o training\.drop_last=true"):
        own_run(tmp_path, NORM, ["training.batch_size=13", "training.steps=4"])


def test_drop_last_is_considered_in_steps_and_epochs(tmp_path: Path) -> None:
    dropped = ["training.batch_size=13", "training.steps=7", "training.drop_last=true"]
    result, _ = own_run(tmp_path, NORM, [*dropped, *SCORED, "metrics.0.at_epochs=[1,2]"])
    assert [row.images for row in result.history] == [39, 39, 13]
    assert [point.images for point in result.metrics[0].curve] == [39, 78, 91]


LATE = """
class Late(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = discriminator()
        self.register_buffer("declared", None)

    def forward(self, images):
        if not hasattr(self, "code"):
            self.register_buffer("code", torch.ones(PIXELS), persistent=PERSISTENT)
        self.register_buffer("latest", images.detach().clone(), persistent=PERSISTENT)
        self.declared = images.mean((1, 2, 3)).detach()
        return self.body(images) * self.code.mean()

build_model = lambda options, context: Networks(generator(), Late(), LATENT)
"""


@pytest.mark.parametrize("persistent", ["True", "False"])
def test_buffers_created_late_or_with_the_batch_size_train_and_resume(persistent: str, tmp_path: Path) -> None:
    source = LATE.replace("PERSISTENT", persistent)
    batch = ["training.batch_size=12"]  # the last one has 4
    whole, _ = own_run(tmp_path, source, [*batch, "training.steps=7"], name="whole")
    own_run(tmp_path, source, [*batch, "training.steps=4"], name="cut")
    spec = load_spec("dcgan-fashion", plugin(tmp_path, source), [*OVERRIDES, *batch, "training.steps=7"])
    resumed, _ = run(spec, device="cpu", resume=tmp_path / "cut")
    assert [row.d_loss for row in resumed.history] == [row.d_loss for row in whole.history]


SHAKY = """
class Shaky(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = generator()

    def forward(self, latent):
        images = self.body(latent)
        return images if self.training else IMAGES_IN_EVAL

build_model = lambda options, context: Networks(Shaky(), discriminator(), LATENT)
"""


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_generator_that_is_not_finite_in_eval_mode_is_not_scored(number: str, tmp_path: Path) -> None:
    source = SHAKY.replace("IMAGES_IN_EVAL", f"images * float('{number}')")
    result, warnings = own_run(
        tmp_path, source, [*SCORED, "sample_images.generated=4", "sample_images.generator_mode=eval"]
    )
    assert (result.status, result.metrics[0].value) == ("completed", None)
    assert not list((tmp_path / "run" / "samples").glob("*"))
    assert any(
        re.search(r"model 'own'.* values that are NaN or infinite; they are not scored or saved", w) for w in warnings
    )


def test_images_far_outside_the_range_cause_a_warning(tmp_path: Path) -> None:
    _, warnings = own_run(tmp_path, SHAKY.replace("IMAGES_IN_EVAL", "images * 0 + 200"), SCORED)
    assert any(
        re.search(r"model 'own'.* the generated images range from 200 to 200; expected -1 .* to 1", w) for w in warnings
    )


def test_images_of_a_sigmoid_cause_a_warning(tmp_path: Path) -> None:
    _, warnings = own_run(tmp_path, SHAKY.replace("IMAGES_IN_EVAL", "images.sigmoid()"), SCORED)
    (warning,) = [each for each in warnings if "darker than gray" in each]
    assert re.search(r"model 'own'.* the generated images range from 0\.\d+ to 0\.\d+, so no pixel", warning)


LAST = """
class Last(torch.optim.SGD):
    steps = 0

    def step(self, closure=None):
        self.steps += 1
        super().step()
        weight = self.param_groups[0]["params"][0]
        if self.steps == 5 and weight.shape == (PIXELS, LATENT):  # the generator's, which has the last turn
            weight.data.fill_(float("nan"))

build_optimizer = lambda options, context: lambda parameters: Last(parameters, lr=1e-4)
"""


def test_weights_that_become_nan_in_the_last_step_are_a_divergence(tmp_path: Path) -> None:
    result, _ = own_run(tmp_path, LAST, SCORED)
    assert result.status == "diverged"
    assert re.search(r"parameter .* has NaN or infinite values after step 5", str(result.message))


class InterruptsScoring(Noting):
    def on_score(self, label: str, point: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def test_after_ctrl_c_during_scoring_no_step_is_trained(tmp_path: Path) -> None:
    scored = [*OVERRIDES, *SCORED, "metrics.0.at_epochs=[1]", "training.steps=50"]
    spec = load_spec("dcgan-fashion", plugin(tmp_path, ""), scored)
    result, _ = run(spec, device="cpu", out=tmp_path / "run", callback=InterruptsScoring())
    assert result.status == "interrupted"
    assert [row.images for row in result.history] == [40]
