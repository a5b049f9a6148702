"""Test whether more of head's seeds than of base's failed: diverged, or ended without a finite score."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass

from ganbench.gate.decision.verdict import SEEDS_PASS_ALPHA, Finding, Verdict

Sides = tuple[Sized, Sized]  # of base and head


@dataclass(frozen=True)
class Failures:
    """The seeds of both sides that failed in the same way."""

    how: str  # in words, such as "diverged"
    base: tuple[int, int]  # how many failed, and how many there are
    head: tuple[int, int]

    @classmethod
    def among(cls, how: str, seeds: Sides, successes: Sides) -> Failures:
        """Return the failures among seeds, of which `successes` are those that did not fail."""
        base, head = ((len(side) - len(good), len(side)) for side, good in zip(seeds, successes, strict=True))
        return cls(how, base, head)

    @property
    def p_value(self) -> float:
        """The one-sided p-value for the null hypothesis that a seed of head fails no more often than one of base.

        That of Fisher's exact test (1922, doi:10.2307/2340521). If all seeds of head failed and none of base, it is the
        largest probability of that over all rates of failure, which is smaller. This is as valid, because no other
        outcome has a smaller p-value.
        """
        from scipy.stats import fisher_exact  # here, because its import takes long, and failures are rare

        (base, base_seeds), (head, head_seeds) = self.base, self.head
        if head == head_seeds and not base:
            rate = head_seeds / (head_seeds + base_seeds)  # at which this outcome is most likely
            return float(rate**head_seeds * (1 - rate) ** base_seeds)
        table = [[head, head_seeds - head], [base, base_seeds - base]]
        return float(fisher_exact(table, alternative="greater").pvalue)

    def finding(self, level: float) -> Finding:
        """Return "regressed" if the p-value is at most `level`.

        Return "inconclusive" if there is some evidence, or no seed of base to compare with, and otherwise a warning.
        """
        base, head = (f"{failed} of {seeds} seeds" for failed, seeds in (self.base, self.head))
        verdict, note = Verdict.WARNING, "; only the other seeds are compared"
        if self.p_value <= level:
            verdict, note = Verdict.REGRESSED, ""
        elif self.p_value <= SEEDS_PASS_ALPHA:
            verdict, note = Verdict.INCONCLUSIVE, "; too few seeds to decide"
        elif self.base[0] == self.base[1]:
            verdict, note = Verdict.INCONCLUSIVE, "; base has no other seeds to compare with"
        message = f"{head} of head {self.how}, and {base} of base (p = {self.p_value:.2g}){note}"
        return Finding(verdict, (base, head), message)
