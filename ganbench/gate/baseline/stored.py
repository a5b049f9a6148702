"""Baselines: measurements stored in a JSON file to check against later, meant to be committed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from ganbench.errors import MissingError, NotComparableError, UsageError
from ganbench.gate.quantities.quality import completed
from ganbench.gate.session import Session
from ganbench.gate.side import SessionConfig
from ganbench.gate.training_runs import TrainingRun, software_differences
from ganbench.results.differences import differing_fields, flatten
from ganbench.results.record import Record, unreadable
from ganbench.results.schema import NON_TRAINING_FIELDS
from ganbench.system.files import exists, explained_write, write_text

SCHEMA_VERSION: Literal[3] = 3
UNDER_TEST = "ganbench_source"  # in `may_differ`, but describes the code and not the machine
MIN_GATING_SESSIONS = 8  # fewer estimate the standard deviation too poorly to fail a build


class Baseline(Record):
    """Measurements of one benchmark under the same conditions."""

    kind: Literal["ganbench baseline"] = Field("ganbench baseline", description="type of the file")
    schema_version: Literal[3] = Field(SCHEMA_VERSION, description="version of this format")
    benchmark: str = Field(description="name or TOML file of the benchmark")
    sessions: list[Session] = Field(description="measurements of speed and memory")
    smoke: list[TrainingRun] = Field([], description="short runs with one seed; empty if they were not recorded")
    quality: list[TrainingRun] = Field(
        [], description="complete runs, one per seed, for scores; empty if they were not recorded"
    )

    def save(self, path: Path) -> None:
        with explained_write(path):
            write_text(path, self.model_dump_json(indent=1) + "\n")

    @property
    def disturbances(self) -> list[str]:
        """What disturbed those of its sessions that were disturbed."""
        return [session.disturbed_by for session in self.sessions if session.disturbed_by]

    def require_same_windows(self, name: str, config: SessionConfig) -> None:
        """Raise `NotComparableError` if its sessions used other windows, because their variability then differs."""
        first = self.sessions[0]
        if (first.windows, first.window_seconds) != (config.windows, config.window_seconds):
            before, now = f"{first.window_seconds:g}", f"{config.window_seconds:g}"
            raise NotComparableError(
                f"baseline {name}: its sessions timed {first.windows} windows of {before} s, not {config.windows} "
                f"of {now} s: give --windows {first.windows} --window-seconds {before}, or record another baseline"
            )

    def require(self, name: str, *, speed: bool, smoke: bool, quality: bool) -> None:
        """Raise `MissingError` if a requested part is missing, `NotComparableError` if there are too few sessions."""
        again = f"record it with `ganbench baseline record {self.benchmark} --out {name}"
        fill = "check with --missing-baseline record"
        if speed and len(self.sessions) < 2:
            raise NotComparableError(
                f"baseline {name}: estimating variability needs at least two sessions; record more"
            )
        if smoke and not self.smoke:
            raise MissingError(f"baseline {name}: it has no smoke runs; {again}`, or {fill} or --no-smoke")
        if quality and not self.quality:
            raise MissingError(f"baseline {name}: it has no scores; {again} --quality`, or {fill}")

    def missing_parts(self, *, smoke: bool, quality: bool) -> list[str]:
        """Return which of the requested parts are missing, as after an interrupted recording."""
        return [*["smoke runs"] * (smoke and not self.smoke), *["scores"] * (quality and not self.quality)]

    def advisory_scores(self, fresh: list[TrainingRun]) -> list[str]:
        """Return the reasons why a verdict on scores or times to targets must not fail a build, if any."""
        reasons = environment_reasons(self.quality[0], fresh[0])
        scored = [next(iter(completed(runs)), None) for runs in (self.quality, fresh)]
        if scored[0] is None or scored[1] is None:  # all seeds diverged: there are no scores whose software is known
            return reasons
        changes = ", ".join(
            f"{name} {before} -> {after}"
            for name, (before, after) in software_differences(scored[0], scored[1]).items()
            if name not in fresh[0].environment.may_differ  # which is a reason of its own
        )
        return [*reasons, *[f"the software of the scores differs from the baseline: {changes}"] * bool(changes)]

    def advisory(self, fresh: list[Session]) -> list[str]:
        """Return the reasons why a verdict on speed must not fail a build, if any."""
        reasons = []
        if len(self.sessions) < MIN_GATING_SESSIONS:
            reasons.append(f"the baseline has {len(self.sessions)} sessions, but gating needs {MIN_GATING_SESSIONS}")
        if disturbed := [session.disturbed_by for session in fresh if session.disturbed_by]:
            reasons.append(f"{len(disturbed)} of {len(fresh)} sessions were disturbed: {disturbed[0]}")
        return [*reasons, *environment_reasons(self.sessions[0], fresh[0])]


def environment_reasons(stored: Session | TrainingRun, fresh: Session | TrainingRun) -> list[str]:
    """Return that the environment has changed, if it has, as a reason why a verdict must not fail a build."""
    changes = changed_environment(stored, fresh)
    remedy = "to measure the effect of such a change, check with --against-python"
    return [f"the environment differs from the baseline: {changes} ({remedy})"] if changes else []


def changed_environment(stored: Session | TrainingRun, fresh: Session | TrainingRun) -> str:
    """Describe what may differ in the environment and does; empty if nothing does."""
    before, after = stored.environment.may_differ, fresh.environment.may_differ
    changed = differing_fields([{**before, UNDER_TEST: None}, {**after, UNDER_TEST: None}])
    return ", ".join(f"{name} {old} -> {new}" for name, (old, new) in changed.items())


def load_baseline(path: Path, benchmark: str | None = None) -> Baseline:
    """Read a baseline, and check that it is of `benchmark` if given.

    Raises `MissingError` if the file cannot be read, `UsageError` if it is corrupt or not a baseline, and
    `NotComparableError` if it is of another benchmark.
    """
    try:
        baseline = Baseline.model_validate_json(path.read_bytes())
    except OSError as error:
        remedy = f"; record it with `ganbench baseline record {benchmark} --out {path}`, or check with "
        hint = f"{remedy}--missing-baseline record" if benchmark and not exists(path) else ""
        raise MissingError(f"baseline {path}: cannot read: {error.strerror}{hint}") from None
    except ValidationError as error:
        otherwise = f"corrupt, or not a ganbench baseline of schema {SCHEMA_VERSION}"
        raise unreadable(f"baseline {path}", error, "record it again", otherwise) from None
    if not baseline.sessions:
        raise UsageError(f"baseline {path}: no sessions; record it again with `ganbench baseline record`")
    if benchmark is not None and baseline.benchmark != benchmark:
        raise NotComparableError(f"baseline {path}: recorded for benchmark {baseline.benchmark}, not {benchmark}")
    return baseline


def require_same_conditions(baseline: Baseline, session: Session) -> None:
    """Raise `NotComparableError` if conditions differ, with the fields."""
    require_equal(conditions(baseline.sessions[0]), conditions(session), "speeds")


def require_same_code(stored: Baseline, session: Session) -> None:
    """Raise `NotComparableError` if other code was measured: it would count as noise, and hide regressions."""
    sessions = (stored.sessions[-1], session)
    if changed := differing_fields([{name: code.source for name, code in each.code.items()} for each in sessions]):
        raise NotComparableError(
            f"the baseline was recorded with other code of {', '.join(changed)}, so no sessions can be added; record "
            "another baseline, or remove the file first"
        )


def require_same_environment(stored: Baseline, session: Session) -> None:
    """Raise `NotComparableError` if the environment changed: one baseline describes the noise of one environment."""
    if changes := changed_environment(stored.sessions[0], session):
        raise NotComparableError(
            f"the baseline was recorded in another environment ({changes}), so nothing can be added to it; "
            "record another baseline, or remove the file first"
        )


def require_same_training(stored: TrainingRun, fresh: TrainingRun) -> None:
    """Raise `NotComparableError` if device, spec or data differ, with the fields; seeds may differ."""
    require_equal(what_ran(stored), what_ran(fresh), "losses and scores")


def require_same_seed(stored: TrainingRun, fresh: TrainingRun) -> None:
    """Raise `NotComparableError` if smoke runs have different seeds."""
    before, now = ({"training.seed": run.spec["training"]["seed"]} for run in (stored, fresh))
    require_equal(before, now, "losses")


def require_other_seeds(stored: Iterable[TrainingRun], fresh: Iterable[int]) -> None:
    """Raise `NotComparableError` if runs to compare scores share a seed: they would not be independent."""
    if shared := {run.spec["training"]["seed"] for run in stored} & set(fresh):
        raise NotComparableError(
            f"the baseline was trained with seeds that this check would use again, such as {min(shared)}; restore "
            "training.seed, or record a new baseline"
        )


def require_equal(stored: dict[str, Any], fresh: dict[str, Any], what: str) -> None:
    fields = differing_fields([stored, fresh])
    if fields:
        changes = "; ".join(f"{name}: {before}, now {after}" for name, (before, after) in fields.items())
        raise NotComparableError(
            f"the baseline has other conditions, so {what} are not comparable: {changes}. Restore them, "
            "or record a new baseline"
        )


def conditions(session: Session) -> dict[str, Any]:
    """Return what must equal the stored conditions: device, precision, engine, spec and data."""
    return {**session.conditions, **what_ran(session)}


def what_ran(record: Session | TrainingRun) -> dict[str, Any]:
    """Return device, data, and the spec without the seed. Plugin code is left out: it may be what was changed."""
    paths = flatten({name: value for name, value in record.spec.items() if name not in NON_TRAINING_FIELDS})
    spec = {f"spec {path}": value for path, value in paths.items() if path != "training.seed"}
    return {**record.environment.must_match, "data": record.data, **spec}
