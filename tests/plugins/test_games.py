"""The homework's games compared with closed forms: where each rule converges, rotates or diverges."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from run_spec import run

from ganbench import (
    Batch,
    Callback,
    Networks,
    PluginError,
    UsageError,
)
from ganbench.plugin.registry import Registry
from ganbench.results.schema import load_result
from ganbench.spec.loading import load_spec
from ganbench.spec.trackers import choose_trackers
from ganbench.training.engines import EagerEngine
from ganbench.training.players import UpdatePlayers
from ganbench.training.position import Position
from ganbench.training.preparation import prepare
from ganbench_games.bandit import PolicyGradient
from ganbench_games.players import NullPlayer, Policy
from ganbench_games.theory import convergence_rate
from ganbench_games.trajectory import Trajectory

Play = Callable[..., np.ndarray]


@pytest.fixture
def play(registry: Registry, tmp_path: Path) -> Play:
    """`play(benchmark, steps, *overrides)`: the parameters of both players, generator first, before each step and after
    the last."""

    def make(benchmark: str, steps: int, *overrides: str) -> np.ndarray:
        spec = load_spec(benchmark, registry, overrides)
        prepared = prepare(spec, torch.device("cpu"), tmp_path, Callback())
        engine = EagerEngine(prepared.step, prepared.batches)
        players = [*prepared.networks.generator.parameters(), *prepared.networks.discriminator.parameters()]
        way = []
        for step in range(steps + 1):
            way.append(np.concatenate([player.detach().flatten().double().numpy() for player in players]))
            if step < steps:
                engine(next(iter(prepared.batches.epoch())), Position(step, step), on_phase_end=lambda _: None)
        return np.array(way)

    return make


def both(option: str) -> list[str]:
    return [f"optimizer.{player}{option}" for player in ("generator", "discriminator")]


def rates(x: float, y: float) -> list[str]:
    return [f"optimizer.generator.lr={x}", f"optimizer.discriminator.lr={y}"]


@pytest.mark.parametrize("turns", ["simultaneous", "alternating"])
@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 0.2), (0.24, 0.01), (0.26, 0.1), (0.1, 0.3), (0.1, -0.1)])
def test_the_quadratic_saddle_shrinks_by_1_minus_8_alpha_and_1_minus_8_beta(
    alpha: float, beta: float, turns: str, play: Play
) -> None:
    """The homework's answer for y, 1 + 8 beta and thus -1/4 < beta < 0, has a sign error."""
    way = play("saddle-quadratic", 20, *rates(alpha, beta), f"training.update_scheme={turns}")
    expected = np.array([1 - 8 * alpha, 1 - 8 * beta]) ** np.arange(21)[:, None]
    np.testing.assert_allclose(way, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("step", [1e-3, 0.1, 0.2])
def test_descent_on_both_diverges_for_every_step_unless_y_starts_at_0(step: float, play: Play) -> None:
    way = play("saddle-quadratic", 20, *rates(step, step), "loss.ascend=false")
    np.testing.assert_allclose(way[:, 1], (1 + 8 * step) ** np.arange(21), rtol=1e-4)
    from_0 = play("saddle-quadratic", 20, *rates(step, step), "loss.ascend=false", "model.y=0.0")
    np.testing.assert_allclose(from_0[:, 0], (1 - 8 * step) ** np.arange(21), rtol=1e-4, atol=1e-7)
    assert not from_0[:, 1].any()


def test_if_y_starts_at_0_x_converges_only_below_a_quarter(play: Play) -> None:
    ends = [
        abs(play("saddle-quadratic", 40, *rates(step, step), "loss.ascend=false", "model.y=0.0")[-1, 0])
        for step in (0.24, 0.25, 0.26)
    ]
    assert ends[0] < 0.1 < ends[1] == 1 < 10 < ends[2]


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 0.1), (0.5, 0.5), (0.1, 0.4)])
def test_simultaneous_descent_spirals_out_of_the_bilinear_game(alpha: float, beta: float, play: Play) -> None:
    way = play("saddle-bilinear", 50, *rates(alpha, beta))
    radii = np.sqrt(way[:, 0] ** 2 / alpha + way[:, 1] ** 2 / beta)  # in which every step is the same spiral
    rate = (radii[-1] / radii[0]) ** (1 / 50)
    assert rate == pytest.approx(math.sqrt(1 + alpha * beta), abs=1e-6)


def test_alternating_descent_stays_bounded_until_the_steps_product_is_4(play: Play) -> None:
    way = play("saddle-bilinear", 1000, *rates(0.5, 0.5), "training.update_scheme=alternating")
    distances = np.linalg.norm(way, axis=1)
    assert distances[500:].max() == pytest.approx(distances[:500].max(), rel=1e-2)
    assert distances.max() < 2
    assert distances[900:].min() > 0.9  # and it does not converge
    away = play("saddle-bilinear", 100, *rates(2.05, 2.05), "training.update_scheme=alternating")
    assert np.linalg.norm(away[-1]) > 1000


@pytest.mark.parametrize("step", [0.1, 0.5])
def test_extragradient_converges(step: float, play: Play) -> None:
    """An update takes two steps: w <- (1 - D J (1 - D J)) w, with eigenvalues 1 - step^2 +- i step."""
    way = play("saddle-bilinear", 60, *both("=extragradient"), *rates(step, step))
    distances = np.linalg.norm(way[::2], axis=1)
    rate = (distances[-1] / distances[0]) ** (1 / 30)
    assert rate == pytest.approx(math.sqrt(1 - step**2 + step**4), abs=1e-6)
    assert rate < 1


@pytest.mark.parametrize("step", [0.1, 0.4])
def test_optimistic_descent_converges(step: float, play: Play) -> None:
    way = play("saddle-bilinear", 300, *both("=optimistic"), *rates(step, step))
    x, y = np.ones((2, 301))
    before = y[0], -x[0]  # the gradients of the step before; of the first, its own
    for t in range(300):
        now = y[t], -x[t]
        x[t + 1] = x[t] - 2 * step * now[0] + step * before[0]
        y[t + 1] = y[t] - 2 * step * now[1] + step * before[1]
        before = now
    np.testing.assert_allclose(way, np.stack([x, y], axis=1), atol=1e-4)
    assert np.linalg.norm(way[-1]) < np.linalg.norm(way[0]) / 2


def test_negative_momentum_lets_alternating_descent_converge(play: Play) -> None:
    own = [*both(".momentum=-0.5"), *rates(0.2, 0.2), "training.update_scheme=alternating"]
    way = play("saddle-bilinear", 200, *own)
    w, velocity = np.ones((201, 2)), np.zeros(2)
    for t in range(200):
        velocity[1] = -0.5 * velocity[1] + 0.2 * w[t, 0]
        w[t + 1, 1] = w[t, 1] + velocity[1]
        velocity[0] = -0.5 * velocity[0] - 0.2 * w[t + 1, 1]
        w[t + 1, 0] = w[t, 0] + velocity[0]
    np.testing.assert_allclose(way, w, atol=1e-4)
    assert np.linalg.norm(way[-1]) < np.linalg.norm(way[0]) / 2


@pytest.mark.parametrize(
    ("benchmark", "overrides", "expected"),
    [
        ("saddle-quadratic", rates(0.1, 0.24), 0.92),
        ("saddle-quadratic", [*rates(0.1, 0.2), "loss.ascend=false"], 2.6),
        ("saddle-quadratic", [*rates(0.1, 0.2), "loss.ascend=false", "model.y=0.0"], 0.2),
        ("saddle-quadratic", ["model.x=0.0", "model.y=0.0"], None),
        ("saddle-quadratic", [*rates(0.05, 0.05), "loss.a=10"], 0.6),
        ("saddle-bilinear", rates(0.3, 0.5), math.sqrt(1.15)),
        ("saddle-bilinear", [*rates(0.3, 0.5), "training.update_scheme=alternating"], 1.0),
        ("saddle-bilinear", [*both("=sgd"), *rates(0.5, 0.5), "loss.c=2"], math.sqrt(2)),
        ("saddle-bilinear", [*both("=extragradient"), *rates(0.5, 0.5)], (1 - 0.25 + 0.0625) ** 0.25),
        ("dirac-gan", [*rates(0.2, 0.2), "training.update_scheme=simultaneous"], math.sqrt(1.01)),
        ("saddle-quadratic", rates(0.1, 0.0), 1.0),
        ("saddle-bilinear", both("=adam"), None),
        ("saddle-bilinear", both('.lr={name="robbins-monro",start=0.1}'), None),
        ("saddle-bilinear", both(".momentum=-0.5"), None),
        ("saddle-bilinear", [*both("=sgd"), *both(".momentum=0.5")], None),
        ("saddle-bilinear", ["optimizer.generator=optimistic"], None),
        ("dirac-gan", ['penalties=[{name="r1",weight=1.0}]'], None),
        ("dirac-gan", ["training.discriminator_steps=2"], None),
    ],
)
def test_theory_gives_the_convergence_rate_of_the_rules_that_it_covers(
    benchmark: str, overrides: list[str], expected: float | None, registry: Registry
) -> None:
    spec = load_spec(benchmark, registry, overrides)
    assert convergence_rate(spec) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("objective", ["saturating", "non-saturating", "wasserstein", "hinge"])
@pytest.mark.parametrize("turns", ["simultaneous", "alternating"])
@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_near_its_solution_the_dirac_gan_follows_its_linearization(
    objective: str, turns: str, penalty: float, play: Play, registry: Registry
) -> None:
    own = [
        f"loss.objective={objective}",
        f"training.update_scheme={turns}",
        f"loss.r1_gamma={penalty}",
        *rates(0.3, 0.3),
    ]
    way = play("dirac-gan", 150, *own, "model.point=1e-6", "model.slope=1e-6")
    spec = load_spec("dirac-gan", registry, own)
    distances = np.linalg.norm(way, axis=1)
    rate = (distances[105:].max() / distances[15:60].max()) ** (1 / 90)  # a turn takes up to 42 steps
    assert rate == pytest.approx(convergence_rate(spec), abs=3e-3)


@pytest.mark.parametrize("objective", ["saturating", "wasserstein", "hinge"])
def test_the_dirac_gan_converges_only_with_the_penalty(objective: str, play: Play) -> None:
    plain, penalised = (
        np.linalg.norm(play("dirac-gan", 600, f"loss.objective={objective}", f"loss.r1_gamma={penalty}")[-1])
        for penalty in (0.0, 1.0)
    )
    assert penalised < 0.1 < 0.5 < plain


def bandit(rewards: list[float], **options: Any) -> PolicyGradient:
    return PolicyGradient(
        rewards, **{"reward_std": 0.0, "baseline": False, "normalize_rewards": False, "device": "cpu", **options}
    )


def draw(loss: PolicyGradient, theta: list[float], count: int = 1) -> torch.Tensor:
    """Return the change of theta by gradient descent with learning rate 1."""
    policy = Policy(len(theta))
    policy.theta.data = torch.tensor(theta)
    latent = torch.zeros(count, 1)
    value, _ = loss.generator_loss(
        UpdatePlayers(Networks(policy, NullPlayer(), 1), policy, NullPlayer()), Batch(latent, latent, latent)
    )
    value.backward()
    assert policy.theta.grad is not None
    return -policy.theta.grad


REWARDS = [5.0, 3.0, 1.0, -2.0]
THETA = [0.3, -0.2, 0.9, 0.1]


def test_a_sampled_arm_updates_the_policy_by_its_reward(play: Play) -> None:
    """The change is eta R_a (1[i = a] - pi_i), in a step of the benchmark."""
    way = play("softmax-bandit", 30, "optimizer.generator.lr=0.3")
    rewards, drawn = np.array([5.0, 3.0, 1.0]), set()
    for before, after in pairwise(way):
        pi = np.exp(before) / np.exp(before).sum()
        arm = int(np.argmax(after - before))  # only the drawn one grows
        drawn.add(arm)
        np.testing.assert_allclose(after - before, 0.3 * rewards[arm] * (np.eye(3)[arm] - pi), atol=1e-6)
    assert len(drawn) > 1


def test_the_mean_of_100_000_samples_is_the_exact_gradient() -> None:
    torch.manual_seed(0)
    count = 100_000
    moved = draw(bandit(REWARDS), THETA, count).double().numpy()
    pi = np.exp(THETA) / np.exp(THETA).sum()
    each = np.array(REWARDS)[:, None] * (np.eye(4) - pi)  # the update by each arm
    exact = pi * (np.array(REWARDS) - pi @ REWARDS)
    np.testing.assert_allclose(pi @ each, exact)
    errors = np.sqrt((pi @ each**2 - exact**2) / count)
    assert (abs(moved - exact) < 3 * errors).all()


def test_noise_baseline_and_normalization_change_rewards_as_documented() -> None:
    torch.manual_seed(0)
    assert not draw(bandit([2.0, 2.0], baseline=True), [0.0, 0.0]).any()  # the first step's baseline is its own reward
    loss = bandit([4.0, 4.0], baseline=True)
    loss.load_state_dict({"sums": torch.tensor([2.0, 2.0, 10.0])})  # rewards 3 and -1 before
    assert draw(loss, [0.0, 0.0]).abs().tolist() == [0.5 * 3, 0.5 * 3]
    assert loss.state_dict()["sums"].tolist() == [3, 6, 26]
    normalized = bandit([4.0, 4.0], normalize_rewards=True)
    normalized.load_state_dict({"sums": torch.tensor([2.0, 2.0, 10.0])})
    assert draw(normalized, [0.0, 0.0]).abs().tolist() == pytest.approx([0.5 * 4 / math.sqrt(26 / 3 - 4)] * 2)
    noisy = torch.stack([draw(bandit([0.0, 0.0], reward_std=1.0), [0.0, 0.0]) for _ in range(400)])
    assert noisy.std(0).tolist() == pytest.approx([0.5, 0.5], abs=0.1)


@pytest.mark.parametrize(
    ("benchmark", "overrides"),
    [
        ("saddle-quadratic", []),
        ("saddle-bilinear", both("=extragradient")),
        ("dirac-gan", ["loss.r1_gamma=1"]),
        ("softmax-bandit", ["loss.baseline=true"]),
    ],
)
def test_a_game_runs_like_any_benchmark_and_plots_its_trajectory(
    benchmark: str, overrides: list[str], registry: Registry, tmp_path: Path
) -> None:
    spec = load_spec(benchmark, registry, ["training.steps=12", *overrides])
    trackers = choose_trackers([], benchmark, registry)
    result, directory = run(spec, device="cpu", out=tmp_path / "run", trackers=trackers)
    assert result.status == "completed"
    assert len(result.history) == 12
    (distance,) = result.metrics
    assert distance.label == "distance to the solution"
    assert [point.epoch for point in distance.curve][:1] == [0]
    assert distance.curve[-1].epoch == 12
    assert distance.real_data_score is None
    with Image.open(directory.path / "trajectory.png") as picture:
        picture.verify()
    assert load_result(directory.path) == result


def test_the_cumulative_regret_is_that_of_the_sampled_arms(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of the real images, of which a step may show another number."""
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    batches = ["training.batch_size=4", "training.discriminator_steps=3", "training.generator_batch_size=6"]
    spec = load_spec("softmax-bandit", registry, ["dataset.num_images=24", "training.steps=6", *batches])
    result, _ = run(spec, device="cpu", out=tmp_path / "run")
    Trajectory(tmp_path).on_run_end(result)
    (line,) = figures[-1].axes[2].lines
    regrets = [2 * 6 * row.monitors["regret"] for row in result.history]  # two steps of an epoch
    assert len(regrets) == 3
    assert line.get_ydata() == pytest.approx(np.cumsum(regrets))


def test_monitors_are_the_players_before_the_step(registry: Registry, tmp_path: Path) -> None:
    spec = load_spec("saddle-quadratic", registry, ["training.steps=3"])
    result, _ = run(spec, device="cpu", out=tmp_path / "run")
    assert [row.monitors["x"] for row in result.history] == pytest.approx([1, 0.2, 0.04])
    assert result.history[0].monitors["distance"] == pytest.approx(math.sqrt(2))


def test_a_game_that_overflows_has_diverged(registry: Registry, tmp_path: Path) -> None:
    spec = load_spec("saddle-quadratic", registry, ["training.steps=200", *rates(0.5, 0.5)])
    trackers = choose_trackers([], "saddle-quadratic", registry)
    result, directory = run(spec, device="cpu", out=tmp_path / "run", trackers=trackers)
    assert result.status == "diverged"
    assert (directory.path / "trajectory.png").exists()


@pytest.mark.parametrize(
    ("benchmark", "overrides", "error", "message"),
    [
        ("dirac-gan", ["model=scalar-players"], UsageError, "requires a linear discriminator"),
        (
            "softmax-bandit",
            ["training.steps=2", "sample_images.generated=4"],
            PluginError,
            "the generator must return",
        ),
        ("saddle-quadratic", ["model=softmax-policy"], UsageError, "use model 'scalar-players' or 'dirac'"),
        ("softmax-bandit", ["model.num_arms=5"], UsageError, "use model 'softmax-policy' with model.num_arms=3"),
        ("softmax-bandit", ["loss=bce", "metrics=[]"], PluginError, "does not depend on the generator's parameters"),
        ("saddle-quadratic", ["loss=bce", "metrics.0.at_epochs=[0]"], UsageError, "does not define distance"),
    ],
)
def test_the_error_names_players_and_losses_that_do_not_match(
    benchmark: str, overrides: list[str], error: type[Exception], message: str, registry: Registry, tmp_path: Path
) -> None:
    spec = load_spec(benchmark, registry, overrides)
    with pytest.raises(error, match=message):
        run(spec, device="cpu", out=tmp_path / "run")


def test_normalization_does_not_suffer_from_large_rewards() -> None:
    """In float32, the variance of these rewards would be less than the rounding of their squares."""
    torch.manual_seed(0)
    near, far = ([each + shift for each in (5.0, 3.0, 1.0)] for shift in (0.0, 10_000.0))
    moved = []
    for rewards in (near, far):
        torch.manual_seed(0)
        moved.append(draw(bandit(rewards, baseline=True, normalize_rewards=True), [0.0, 0.0, 0.0], 1000))
    torch.testing.assert_close(moved[1], moved[0], rtol=1e-3, atol=1e-4)
