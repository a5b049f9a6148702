"""Policy gradients in a bandit whose arms pay fixed rewards.

An arm a is drawn by pi = softmax(theta), and REINFORCE (Williams 1992) moves theta_i by lr (R_a - b) (1[i = a] - pi_i);
in expectation that is the gradient lr pi_i (R_i - sum_j pi_j R_j) of the mean reward. See Sutton and Barto 2018,
section 2.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganbench import Batch, Networks, Players

from .pictures import draw_policy
from .players import policy


class PolicyGradient:
    """The generator is the policy; the discriminator has no part in it. A batch of N draws N arms.

    `noise` is the standard deviation of what is added to a reward. With `baseline`, b is the mean of all rewards before
    (of the first step's own in the first step), else 0; with `normalise`, R_a - b is divided by the deviation of all
    rewards so far, where there is one.
    """

    def __init__(self, rewards: Sequence[float], noise: float, baseline: bool, normalise: bool, device: str) -> None:
        self.rewards = torch.tensor(rewards, device=device)
        self.noise = noise
        self.baseline = baseline
        self.normalise = normalise
        self.sums = torch.zeros(3, device=device)  # of all rewards so far: count, sum, sum of squares

    @property
    def protocol(self) -> dict[str, Any]:
        return {"rewards": self.rewards.tolist()}

    def state_dict(self) -> dict[str, Tensor]:
        return {"sums": self.sums.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.sums.copy_(state["sums"])

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        probabilities = policy(players.networks, len(self.rewards)).log_probabilities.exp()
        theta = policy(
            players.networks, len(self.rewards)
        ).theta.clone()  # the engine reads it when the policy has moved
        monitors = {"regret": self.rewards.max() - probabilities @ self.rewards}
        for arm in range(len(self.rewards)):
            monitors[f"pi_{arm + 1}"] = probabilities[arm]
            monitors[f"theta_{arm + 1}"] = theta[arm]
        return torch.zeros((), device=self.rewards.device), monitors

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        log_probabilities = policy(players.networks, len(self.rewards)).log_probabilities
        arms = torch.multinomial(log_probabilities.detach().exp(), len(batch.latent), replacement=True)
        rewards = self.rewards[arms]
        if self.noise:
            rewards = rewards + self.noise * torch.randn_like(rewards)
        advantages = self._advantages(rewards)
        return -(advantages * log_probabilities[arms]).mean(), {"reward": rewards.mean()}

    def _advantages(self, rewards: Tensor) -> Tensor:
        """R_a - b, normalised if asked; then the rewards are among those so far."""
        new = torch.stack([torch.ones_like(rewards), rewards, rewards.square()]).sum(1)
        count, total, _ = torch.where(self.sums[0] > 0, self.sums, new)
        advantages = rewards - total / count if self.baseline else rewards
        self.sums += new
        if self.normalise:
            count, total, squares = self.sums
            deviation = (squares / count - (total / count).square()).clamp(min=0).sqrt()
            advantages = torch.where(deviation > 1e-6, advantages / deviation.clamp(min=1e-6), advantages)
        return advantages

    def distance(self, networks: Networks) -> Tensor:
        """The probability of an arm that is not the best."""
        probabilities = policy(networks, len(self.rewards)).log_probabilities.exp()
        return 1 - probabilities[self.rewards == self.rewards.max()].sum()

    def draw(self, history: Sequence[Any], path: Path) -> None:
        draw_policy(history, self.rewards.tolist(), path)
