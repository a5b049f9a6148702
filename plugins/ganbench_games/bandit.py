"""Policy gradients on a bandit whose arms have fixed mean rewards.

An arm a is sampled from pi = softmax(theta), and REINFORCE (Williams 1992) changes theta_i by
lr (R_a - b) (1[i = a] - pi_i). In expectation, this is lr pi_i (R_i - sum_j pi_j R_j), the gradient step on the mean
reward. See Sutton and Barto 2018, section 2.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ganbench import Batch, Networks, Players

from .players import policy


class PolicyGradient:
    """The generator is the policy; the discriminator is not used. A batch of N samples N arms.

    `reward_std` is the standard deviation of the noise added to each reward. With `baseline`, b is the mean of all
    previous rewards (in the first step, of that step's rewards), else 0. With `normalize_rewards`, R_a - b is divided
    by the standard deviation of all rewards so far, unless that is 0.
    """

    def __init__(
        self, rewards: Sequence[float], reward_std: float, baseline: bool, normalize_rewards: bool, device: str
    ) -> None:
        self.rewards = torch.tensor(rewards, device=device)
        self.reward_std = reward_std
        self.baseline = baseline
        self.normalize_rewards = normalize_rewards
        # count, sum and sum of squares of all rewards so far; the variance is a small difference of large numbers
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)

    @property
    def protocol(self) -> dict[str, Any]:
        return {"rewards": self.rewards.tolist()}

    def state_dict(self) -> dict[str, Tensor]:
        return {"sums": self.sums.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.sums.copy_(state["sums"])

    def discriminator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        current = policy(players.networks, len(self.rewards))
        probabilities = current.log_probabilities.exp()
        theta = current.theta.clone()  # because the engine reads monitors after the update
        monitors = {"regret": self.rewards.max() - probabilities @ self.rewards}
        for arm in range(len(self.rewards)):
            monitors[f"pi_{arm + 1}"] = probabilities[arm]
            monitors[f"theta_{arm + 1}"] = theta[arm]
        return torch.zeros((), device=self.rewards.device), monitors

    def generator_loss(self, players: Players, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        log_probabilities = policy(players.networks, len(self.rewards)).log_probabilities
        arms = torch.multinomial(log_probabilities.detach().exp(), len(batch.latent), replacement=True)
        rewards = self.rewards[arms]
        if self.reward_std:
            rewards = rewards + self.reward_std * torch.randn_like(rewards)
        advantages = self._advantages(rewards)
        return -(advantages * log_probabilities[arms]).mean(), {"reward": rewards.mean()}

    def _advantages(self, rewards: Tensor) -> Tensor:
        """Return R_a - b, normalized if requested, and add the rewards to the running sums."""
        rewards = rewards.double()
        new = torch.stack([torch.ones_like(rewards), rewards, rewards.square()]).sum(1)
        count, total, _ = torch.where(self.sums[0] > 0, self.sums, new)
        advantages = rewards - total / count if self.baseline else rewards
        self.sums += new
        if self.normalize_rewards:
            count, total, squares = self.sums
            std = (squares / count - (total / count).square()).clamp(min=0).sqrt()
            advantages = torch.where(std > 1e-6, advantages / std.clamp(min=1e-6), advantages)
        return advantages.float()

    def distance(self, networks: Networks) -> Tensor:
        """Return the probability of a suboptimal arm."""
        probabilities = policy(networks, len(self.rewards)).log_probabilities.exp()
        return 1 - probabilities[self.rewards == self.rewards.max()].sum()
