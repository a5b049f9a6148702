"""Losses and scores in the gate: smoke runs, and seeds trained to the end.

The training runs are fake, except in one test.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from command_line import run_command
from conftest import SMALL
from scipy import stats
from stand_in import FAST

from ganbench.errors import ExitCode, UsageError
from ganbench.gate.check import CheckConfig, Measurements
from ganbench.gate.decision.looks import Look, looks
from ganbench.gate.decision.statistics import Estimate, paired
from ganbench.gate.decision.verdict import (
    ALPHA,
    Threshold,
    Verdict,
    decide,
    shared_levels,
    significance_level,
)
from ganbench.gate.findings import make_findings
from ganbench.gate.measuring import Sessions
from ganbench.gate.quantities.failures import Failures
from ganbench.gate.quantities.quality import Quality, require_valid_margins
from ganbench.gate.quantities.smoke import envelope, smoke_finding
from ganbench.gate.side import SessionConfig, Side
from ganbench.gate.training_runs import (
    Score,
    TrainingRun,
    TrainingRuns,
    software_differences,
    train,
)
from ganbench.results.schema import PluginRecord
from ganbench.spec.sections import GateOptions


def check(*arguments: str) -> tuple[int, str]:
    ours = ("check", "dcgan-fashion", "-p", "own_loss.py", "--against", "HEAD~1", "--no-speed")
    outcome = run_command(*ours, *arguments)
    return outcome.exit_code, " ".join(outcome.output.split())


QUALITY = ("--no-smoke", "--quality")


def test_different_results_for_the_same_seed_are_a_warning(commit: Any) -> None:
    commit(FAST)
    commit(FAST + "LOSS = 1.5\n")
    code, text = check("--strict")
    assert code == ExitCode.DONE
    assert "WARNING: training results differ for the same seed: d_loss is 1.5, outside 0.99 to 1.01" in text


def test_equal_results_for_the_same_seed_pass(commit: Any) -> None:
    commit(FAST)
    commit(FAST + "LOSS = 1.005\n")  # within rounding
    code, text = check()
    assert code == ExitCode.DONE
    assert "PASS: training results agree for the same seed" in text


def test_a_smoke_run_that_diverges_is_exit_5(commit: Any) -> None:
    commit(FAST)
    commit(FAST + "DIVERGED = [42]\n")
    code, text = check()
    assert code == ExitCode.FAILED
    assert "a training run of the working tree diverged within 40 steps: d_loss is nan" in text


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("FID = 20.0\n", ExitCode.DONE, "PASS: FID (tiny) is"),
        ("FID = 23.0\n", ExitCode.REGRESSION, "REGRESSED: FID (tiny) is worse by"),
        ("FID = 17.0\n", ExitCode.DONE, "Unexpectedly large improvement: verify that scoring is unchanged"),
        ("FID = 21.1\nFID_STD = 0.05\n", ExitCode.INCONCLUSIVE, "INCONCLUSIVE: FID (tiny) is worse by"),
        (
            "DIVERGED = [52, 53]\n",
            ExitCode.DONE,
            "WARNING: 2 of 5 seeds of head diverged, and 0 of 10 seeds of base (p = 0.095); only the other seeds are",
        ),
        ("DIVERGED = [52, 53, 54]\n", ExitCode.INCONCLUSIVE, "(p = 0.022); too few seeds to decide"),
        (
            "DIVERGED = range(52, 57)\n",
            ExitCode.REGRESSION,
            "REGRESSED: 5 of 5 seeds of head diverged, and 0 of 10 seeds of base (p = 7.1e-05)",
        ),
        (
            "NOT_FINITE = [52]\n",
            ExitCode.DONE,
            "WARNING: 1 of 5 seeds of head ended without a finite FID (tiny), and 0 of 10 seeds of base (p = 0.33)",
        ),
        ("NOT_FINITE = [52]\n", ExitCode.DONE, "PASS: FID (tiny) is"),  # by the other seeds
        ("NOT_FINITE = range(52, 57)\n", ExitCode.REGRESSION, "REGRESSED: 5 of 5 seeds of head ended without"),
        ("NUM_SAMPLES = 50\n", ExitCode.NOT_COMPARABLE, "num_samples of fid: 100 and 50"),
        ('METRICS = ["fid", "kid"]\n', ExitCode.NOT_COMPARABLE, "only head has the metric kid"),
        ('LABEL = "FID (renamed)"\n', ExitCode.DONE, "PASS: FID (renamed) is"),
        ('TORCH = "2.15"\n', ExitCode.DONE, "PASS: FID (tiny) is"),  # may be what was changed
    ],
)
def test_scores_of_several_seeds(text: str, code: int, message: str, commit: Any) -> None:
    commit(FAST)
    commit(FAST + text)
    exit_code, output = check(*QUALITY, "--strict")
    assert message in output
    assert exit_code == code


@pytest.mark.parametrize("length", ["training.epochs=5", "training.steps=7", "training={epochs=1, batch_size=32}"])
def test_a_smoke_run_has_its_own_length(length: str, commit: Any) -> None:
    session_config = SessionConfig("dcgan-fashion", [length])
    side = Side("base")
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganbench.gate.side.Worker", lambda _, request: asked.append(request))
        side.start("train", session_config, {"steps": 200, "epochs": None})
    assert asked[0]["overrides"] == [length]  # nothing is added that could conflict
    assert asked[0]["training"] == {"steps": 200, "epochs": None}


def test_the_final_verdict_on_speed_uses_the_level_of_the_looks() -> None:
    """With Holm's level over speed and scores, a score with a large p-value would overrule the look."""
    assert significance_level(speed=True, scores=False) == significance_level(speed=False, scores=True) == ALPHA
    assert significance_level(speed=True, scores=True) == ALPHA / 2
    ratios = [0.1 + error for error in (0.02, -0.02, 0.06, -0.06, 0.1, -0.1, 0.06, -0.06)]
    for scale, look in product((0.5, 0.8, 1.0, 1.1, 1.2, 1.5), looks(4)):
        sessions = FixedEstimate(paired([0.1 + scale * (ratio - 0.1) for ratio in ratios]), look)
        config = CheckConfig(SessionConfig("any"), quality=True, metrics=("fid",))
        look_decision = look.decide(sessions.estimate(), Threshold(0.05), config.level)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ganbench.gate.findings.throughput_threshold", lambda *_: lambda _: Threshold(0.05))
            patch.setattr("ganbench.gate.quantities.speed.throughput_finding", lambda _, decision, *__: decision)
            patch.setattr("ganbench.gate.quantities.speed.memory_finding", lambda *_: None)
            scores = [training(value) for value in (10.0, 10.1, 9.9)]
            found = make_findings(Measurements(sessions, quality=TrainingRuns(scores, scores)), config, 5.0)  # type: ignore[arg-type]
        assert found["throughput"].verdict == look_decision.verdict


class FixedEstimate:
    """Sessions with a known estimate."""

    base = (None,)
    in_pairs = False
    decide = Sessions.decide

    def __init__(self, estimate: Estimate, look: Look) -> None:
        self.estimate = lambda: estimate
        self.look = look


def test_no_seed_is_on_both_sides(commit: Any) -> None:
    commit(FAST)
    commit(FAST + "FID = 20.0\n")
    outcome = run_command(
        "check", "dcgan-fashion", "-p", "own_loss.py", "--against", "HEAD~1", "--no-speed", *QUALITY, "--json"
    )
    (report,) = json.loads(outcome.stdout)["checks"]
    base, head = ([run["spec"]["training"]["seed"] for run in report["quality"][side]] for side in ("base", "head"))
    assert base == list(range(42, 52))
    assert head == list(range(52, 57))


@pytest.mark.parametrize(
    ("seeds", "code", "message"),
    [
        ("[42, 43]", ExitCode.DONE, "WARNING: 0 of 5 seeds of head diverged, and 2 of 10 seeds of base (p = 1)"),
        ("range(42, 52)", ExitCode.INCONCLUSIVE, "base has no other seeds to compare with"),
    ],
)
def test_a_base_whose_seeds_diverge_does_not_discard_what_was_measured(
    seeds: str, code: int, message: str, commit: Any
) -> None:
    commit(FAST + f"DIVERGED = {seeds}\n")
    commit(FAST)
    arguments = ("dcgan-fashion", "-p", "own_loss.py", "--against", "HEAD~1", *QUALITY, "--strict")
    outcome = run_command("check", *arguments)
    text = " ".join(outcome.output.split())
    assert "PASS: time per image" in text
    assert message in text
    assert outcome.exit_code == code


def regressed(base: int, head: int, level: float = ALPHA) -> bool:
    return Failures("diverged", (base, 10), (head, 5)).finding(level).verdict == Verdict.REGRESSED


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3, 0.5])
def test_seeds_that_diverge_now_and_then_cause_no_false_alarm(rate: float) -> None:
    chances = [
        stats.binom.pmf(base, 10, rate) * stats.binom.pmf(head, 5, rate)
        for base, head in product(range(11), range(6))
        if regressed(base, head)
    ]
    assert 0 < sum(chances) <= ALPHA


def test_the_counts_of_diverged_seeds_that_are_a_regression() -> None:
    """As docs/gate.md says."""
    counts = list(product(range(11), range(6)))
    assert [count for count in counts if regressed(*count)] == [(0, 4), (0, 5), (1, 5)]
    assert [count for count in counts if regressed(*count, level=ALPHA / 2)] == [(0, 5), (1, 5)]
    assert [count for count in counts if regressed(*count, level=ALPHA / 30)] == [(0, 5)]


def test_diverged_seeds_share_the_level_with_the_scores() -> None:
    estimates = {"fid": paired([0.1, 0.11, 0.12, 0.14])}
    (_, level), (_, other) = shared_levels(estimates, {"fid": Threshold(0.05)}, {"divergence": 1e-5}, ALPHA).items()
    assert (level, other) == (ALPHA, ALPHA / 2)


@pytest.mark.parametrize(
    ("margin", "code"),
    [
        ("gate.score_percent=25", ExitCode.DONE),
        ("gate.metric_percent.fid=25", ExitCode.DONE),
        ("gate.score_percent=10", 1),
    ],
)
def test_the_spec_sets_the_margin_of_a_score(margin: str, code: int, commit: Any) -> None:
    commit(FAST)
    commit(FAST + "FID = 23.0\n")
    assert check(*QUALITY, "-o", margin)[0] == code


def test_quality_needs_a_metric(commit: Any) -> None:
    commit(FAST)
    code, text = check(*QUALITY, "-o", "metrics=[]")
    assert code == ExitCode.USAGE
    assert "--quality needs a metric, and benchmark dcgan-fashion has none" in text


@pytest.mark.parametrize(
    "command",
    [("check", "--against", "HEAD"), ("check", "--baseline", "baseline.json"), ("baseline", "record", "--out", "new")],
)
def test_a_time_budget_is_refused_before_anything_is_trained(command: tuple[str, ...], recorded: Path) -> None:
    ours = ("dcgan-fashion", "-p", "own_loss.py", "-o", "training.budget_seconds=60", "--quality")
    outcome = run_command(*command, *ours)
    assert outcome.exit_code == ExitCode.USAGE
    assert "--quality: training.budget_seconds: not supported" in " ".join(outcome.output.split())
    assert not Path("new").exists()


def test_a_time_budget_that_only_base_has_is_refused_before_anything_is_trained(commit: Any) -> None:
    commit(FAST + "BUDGET = 60.0\n")
    commit(FAST)
    code, text = check(*QUALITY)
    assert code == ExitCode.NOT_COMPARABLE
    assert "base has training.budget_seconds = 60, so its seeds would train for different numbers of steps" in text
    assert "seed " not in text
    assert check()[0] == ExitCode.DONE  # the smoke run replaces the length


def test_a_margin_for_an_unknown_metric(commit: Any) -> None:
    commit(FAST)
    commit(FAST + "FID = 20.0\n")
    code, text = check(*QUALITY, "-o", "gate.metric_percent.kid=3")
    assert code == ExitCode.USAGE
    assert "gate.metric_percent.kid: unknown metric; the benchmark has" in text
    assert "of head" not in text  # found after the first training run


def test_a_margin_for_an_unknown_metric_is_found_by_the_smoke_run(commit: Any) -> None:
    commit(FAST)
    arguments = ("dcgan-fashion", "-p", "own_loss.py", "--quality", "-o", "gate.metric_percent.kid=3")
    for command in (("check", "--against", "HEAD~1"), ("baseline", "record", "--sessions", "2", "--out", "new.json")):
        commit(FAST + f"FID = {20 + len(command)}\n")
        outcome = run_command(*command, *arguments)
        assert outcome.exit_code == ExitCode.USAGE
        assert "gate.metric_percent.kid: unknown metric; the benchmark has" in " ".join(outcome.output.split())
        assert "seed 4" not in outcome.output
        assert "block 1" not in outcome.output


def training(value: float | None, higher_is_better: bool | None = False, **more: Any) -> TrainingRun:
    score = Score(
        id="score",
        name="score",
        label="score",
        value=value,
        higher_is_better=higher_is_better,
        protocol={},
        software={},
    )
    whole: dict[str, Any] = {
        "status": "completed",
        "losses": {"d_loss": 1.0},
        "metrics": [score],
        "data": "0",
        **more,
    }
    return TrainingRun.model_construct(**whole)


def test_a_higher_is_better_score_is_worse_if_lower() -> None:
    base = [training(value, higher_is_better=True) for value in (10.0, 10.1, 9.9, 10.0)]
    head = [training(value, higher_is_better=True) for value in (8.0, 8.1, 7.9)]
    quality = Quality(TrainingRuns(base, head), GateOptions())
    decision = decide(quality.estimates()["score"], quality.threshold("score"))
    assert decision.verdict == Verdict.REGRESSED
    assert decision.effect == pytest.approx(0.2, abs=0.01)  # of the score, not of its inverse
    ((_, finding),) = quality.findings({"score": decision})
    assert "score is worse by 20.0%" in finding.message


@pytest.mark.parametrize(
    ("base", "head", "higher_is_better", "margin", "verdict", "effect"),
    [
        (0.9, 0.6, True, 50, Verdict.PASS, 1 / 3),  # its inverse rises by 50%
        (0.8, 0.38, True, 50, Verdict.REGRESSED, 0.525),
        (0.4, 0.01, True, 50, Verdict.REGRESSED, 0.975),
        (8.0, 10.0, True, 5, Verdict.WARNING, -0.25),  # unexpectedly large improvements
        (8.0, 25.0, True, 60, Verdict.WARNING, -2.125),
        (25.0, 8.0, False, 200, Verdict.WARNING, -0.68),
        (25.0, 10.0, False, 200, Verdict.PASS, -0.6),
        (8.0, 10.0, False, 50, Verdict.PASS, 0.25),
    ],
)
def test_percentages_are_those_of_the_score(
    base: float, head: float, higher_is_better: bool, margin: float, verdict: Verdict, effect: float
) -> None:
    sides = (
        [training(mean * factor, higher_is_better) for factor in (0.999, 1.0, 1.001) for _ in range(2)]
        for mean in (base, head)
    )
    quality = Quality(TrainingRuns(*sides), GateOptions(score_percent=margin))
    threshold = quality.threshold("score")
    assert threshold.margin == pytest.approx(margin / 100)
    decision = decide(quality.estimates()["score"], threshold)
    ((_, finding),) = quality.findings({"score": decision})
    assert (finding.verdict, decision.effect) == (verdict, pytest.approx(effect, rel=0.01))
    assert decision.lower < decision.effect < decision.upper < 1
    assert ("Unexpectedly large improvement" in finding.message) == (verdict == Verdict.WARNING)


@pytest.mark.parametrize("field", ["score_percent", "metric_percent.score"])
def test_a_margin_that_no_score_can_exceed_is_refused(field: str) -> None:
    name, _, metric = field.partition(".")
    margins = GateOptions.model_validate({name: {metric: 100.0} if metric else 100.0})
    with pytest.raises(UsageError, match=f"gate.{field}: 100: score cannot fall by more than 100%"):
        require_valid_margins(margins, training(0.5, higher_is_better=True).metrics)
    require_valid_margins(margins, training(0.5).metrics)


@pytest.mark.parametrize(
    ("base", "head", "higher_is_better", "verdict"),
    [
        ([0.38, 0.4, 0.41, 0.39, 0.42], [0.0] * 5, True, Verdict.REGRESSED),  # a recall, and no modes are left
        ([0.38, 0.4, 0.41, 0.39, 0.42], [0.01, 0.02, 0.0, 0.03, 0.01], True, Verdict.REGRESSED),
        ([0.01, 0.02, 0.0, 0.03, 0.01], [0.38, 0.4, 0.41, 0.39, 0.42], True, Verdict.WARNING),  # far better
        ([0.3, 0.35, 0.4, 0.45, 0.5], [0.0, 0.39, 0.4, 0.41, 0.42], True, Verdict.WARNING),  # one seed collapsed
        ([0.0] * 5, [0.0] * 5, True, Verdict.INCONCLUSIVE),
        ([0.0] * 5, [0.2, 0.1, 0.3, 0.1, 0.2], False, Verdict.REGRESSED),
    ],
)
def test_a_score_of_zero_is_compared_by_rank(
    base: list[float], head: list[float], higher_is_better: bool, verdict: Verdict
) -> None:
    sides = ([training(value, higher_is_better) for value in values] for values in (2 * base, head))
    quality = Quality(TrainingRuns(*sides), GateOptions())
    decision = decide(quality.estimates()["score"], quality.threshold("score"))
    ((_, finding),) = quality.findings({"score": decision})
    assert finding.verdict == verdict
    assert "inf" not in finding.message


def test_a_value_without_a_direction_is_neither_better_nor_worse() -> None:
    base, head = ([training(value, higher_is_better=None) for value in values] for values in ((1.0,) * 4, (None,) * 3))
    quality = Quality(TrainingRuns(base, head), GateOptions())
    assert quality.estimates() == {}
    assert quality.failures() == {}
    assert list(quality.findings({})) == []


def test_the_margin_covers_the_variability_over_seeds() -> None:
    base = [training(value) for value in (10.0, 14.0, 8.0, 12.0)]
    threshold = Quality(TrainingRuns(base, base), GateOptions()).threshold("score")
    # 1.5 standard deviations of the logarithms: exp(1.5 * 0.243) - 1
    assert threshold.margin == pytest.approx(0.44, abs=0.01)


def test_a_negative_score_is_inconclusive() -> None:
    values = [training(value) for value in (1.0, -1.0, 0.5)]
    quality = Quality(TrainingRuns(values, values), GateOptions())
    assert quality.estimates() == {}
    ((_, finding),) = quality.findings({})
    assert finding.verdict == Verdict.INCONCLUSIVE
    assert "cannot be tested" in finding.message


@pytest.mark.parametrize("penalty", [0.1, None])
def test_a_loss_that_only_one_side_has_or_that_is_finite_on_one_side_only(penalty: float | None) -> None:
    sides = training(1.0, losses={"d_loss": 1.0, "penalty": penalty}), training(1.0, losses={"d_loss": 1.0})
    if penalty is None:
        sides = sides[0], training(1.0, losses={"d_loss": 1.0, "penalty": 0.1})
    finding = smoke_finding(TrainingRuns([sides[0]] * 3, [sides[1]]))
    assert finding.verdict == Verdict.WARNING
    assert "penalty is missing or not finite on one side" in finding.message


OTHER_SCORES = [
    ("NUM_SAMPLES = 50\n", "FID (tiny), num_samples: 100 and 50"),
    ('METRICS = ["fid", "kid"]\n', "only head has the metric kid, kid"),
    ("METRICS = []\n", "only base has the metric fid, FID (tiny)"),
]


@pytest.mark.parametrize(("text", "reason"), OTHER_SCORES)
def test_a_smoke_run_leaves_out_scores_that_are_not_comparable(text: str, reason: str, commit: Any) -> None:
    commit(FAST)
    commit(FAST + text)
    outcome = run_command("check", "dcgan-fashion", "-p", "own_loss.py", "--against", "HEAD~1")
    output = " ".join(outcome.output.split())
    assert "PASS: time per image" in output
    assert (
        "WARNING: training results agree for the same seed. Scores that cannot be compared were left out: "
        f"{reason}" in output
    )
    assert outcome.exit_code == ExitCode.DONE


def test_a_metric_with_another_label_is_the_same(commit: Any) -> None:
    commit(FAST)
    commit(FAST + 'LABEL = "FID (renamed)"\n')
    assert "PASS: training results agree for the same seed" in check()[1]


@pytest.mark.parametrize("text", [text for text, _ in OTHER_SCORES])
def test_other_scores_are_refused_before_anything_is_trained(text: str, commit: Any) -> None:
    commit(FAST)
    commit(FAST + text)
    code, output = check("--quality", "--always-measure")
    assert code == ExitCode.NOT_COMPARABLE
    assert "the scores of the two sides are not comparable" in output
    assert "smoke run" not in output


def test_a_smoke_run_trains_the_seed_of_head_on_both_sides(commit: Any) -> None:
    given = run_command("show", "dcgan-fashion").stdout
    for seed in (1, 2):
        Path("mine.toml").write_text(given.replace("seed = 42", f"seed = {seed}"), encoding="utf-8")
        commit(FAST + f"# {seed}\n")
    arguments = ("mine.toml", "-p", "own_loss.py", "--against", "HEAD~1", "--no-speed", "--json")
    (report,) = json.loads(run_command("check", *arguments).stdout)["checks"]
    runs = [run for side in ("base", "head") for run in report["smoke"][side]]
    assert [run["spec"]["training"]["seed"] for run in runs] == [2, 2]


def test_the_envelope_extends_the_range_by_its_width_or_by_rounding() -> None:
    assert envelope([1.0, 1.2, 1.1]) == pytest.approx((0.8, 1.4))
    assert envelope([-2.0, -2.0, -2.0]) == pytest.approx((-2.02, -1.98))


@pytest.mark.slow
def test_a_real_training_run_reports_losses_and_scores_and_is_reproducible() -> None:
    session_config = SessionConfig("dcgan-fashion", [*SMALL, "training.batch_size=100"], device="cpu")
    first, again = (train(Side("base"), session_config, {"epochs": None, "steps": 2, "seed": 1}) for _ in range(2))
    assert first.status == "completed"
    assert set(first.losses) == {"d_loss", "g_loss", "real_score", "fake_score"}
    assert first.metrics[0].name == "fid"
    assert first.metrics[0].value > 0
    assert first.losses == again.losses
    assert first.metrics == again.metrics


@pytest.fixture
def recorded(commit: Any) -> Path:
    """A baseline with smoke and quality runs; the working tree is as recorded."""
    repository = commit(FAST)
    arguments = ["baseline", "record", "dcgan-fashion", "-p", "own_loss.py", "--out", "baseline.json", "--quality"]
    assert run_command(*arguments).exit_code == ExitCode.DONE
    return repository / "own_loss.py"


@pytest.mark.parametrize(
    ("text", "arguments", "code", "message"),
    [
        ("", ("--quality",), ExitCode.DONE, "PASS: FID (tiny)"),
        ("FID = 23.0\n", ("--quality",), ExitCode.REGRESSION, "REGRESSED: FID (tiny)"),
        ("FID = 23.0\n", (), ExitCode.DONE, "WARNING: training results differ for the same seed: FID (tiny)"),
        ('TORCH = "2.15"\n', ("--quality",), ExitCode.DONE, "PASS: FID (tiny)"),
        ('SCORER = "2"\nFID = 23.0\n', ("--quality", "--no-speed"), ExitCode.DONE, "advisory only: the software"),
        (
            'PLATFORM = "Linux 6.2"\nFID = 23.0\n',
            ("--quality", "--no-speed"),
            ExitCode.DONE,
            "advisory only: the environment differs from the baseline: platform Linux 6.1 -> Linux 6.2",
        ),
        # the first seed of head, and all of them
        (
            'SCORER = "2"\nFID = 23.0\nDIVERGED = [52]\n',
            ("--quality", "--no-speed"),
            ExitCode.DONE,
            "advisory only: the software",
        ),
        ("DIVERGED = range(52, 57)\n", ("--quality", "--no-speed"), ExitCode.REGRESSION, "diverged"),
        (
            'TORCH = "2.15"\nDIVERGED = range(52, 57)\n',
            ("--quality", "--no-speed"),
            ExitCode.DONE,
            "advisory only: the environment",
        ),
        ('TORCH = "2.15"\n', (), ExitCode.DONE, "PASS: training results agree for the same seed"),
        ('DEVICE = "another"\n', ("--no-speed",), ExitCode.NOT_COMPARABLE, "device: cpu, now another"),
        (
            'DEVICE = "another"\n',
            ("--no-speed", "--no-smoke", "--quality"),
            ExitCode.NOT_COMPARABLE,
            "losses and scores are not comparable: device: cpu, now another",
        ),
    ],
)
def test_stored_training_runs(text: str, arguments: tuple[str, ...], code: int, message: str, recorded: Path) -> None:
    recorded.write_text(FAST + text)
    ours = ("check", "dcgan-fashion", "-p", "own_loss.py", "--baseline", "baseline.json")
    outcome = run_command(*ours, *arguments)
    assert message in " ".join(outcome.output.split())
    assert outcome.exit_code == code


def software(plugin: PluginRecord, source: str) -> TrainingRun:
    """A run with a score of this software, where `source` is the hash of ganbench's source."""
    run = training(1.0)
    run.metrics[0] = run.metrics[0].model_copy(
        update={"software": {"ganbench": f"0.1.0 (source {source})", "metric own": str(plugin)}}
    )
    return run


@pytest.mark.parametrize(
    ("distribution", "version", "edited", "released"),
    [
        ("own-metrics", "1.0", "1.0", "1.1"),
        ("own.py", "sha256:0123456789ab", "sha256:ba9876543210", None),
        ("own.module", None, None, None),
    ],
)
def test_an_edit_is_no_other_software_of_a_score_but_a_release_is(
    distribution: str, version: str | None, edited: str | None, released: str | None
) -> None:
    plugin = PluginRecord(kind="metric", name="own", distribution=distribution, version=version, source="0" * 16)
    before = software(plugin, "2" * 16)
    after = software(plugin.model_copy(update={"version": edited, "source": "1" * 16}), "3" * 16)
    assert software_differences(before, after) == {}
    if released:
        other = software(plugin.model_copy(update={"version": released}), "2" * 16)
        assert software_differences(before, other) == {"metric own": ("own-metrics 1.0", "own-metrics 1.1")}


@pytest.mark.parametrize(("arguments", "code"), [((), ExitCode.DONE), (("--quality",), ExitCode.NOT_COMPARABLE)])
def test_scores_of_another_protocol_than_the_baseline(arguments: tuple[str, ...], code: int, recorded: Path) -> None:
    recorded.write_text(FAST + "NUM_SAMPLES = 50\n")
    ours = ("dcgan-fashion", "-p", "own_loss.py", "--baseline", "baseline.json")
    outcome = run_command("check", *ours, *arguments)
    assert "FID (tiny), num_samples: 100 and 50" in " ".join(outcome.output.split())
    assert outcome.exit_code == code
    assert ("session 1" in outcome.output) == (code == ExitCode.DONE)  # refused before anything is timed


def test_a_benchmark_of_another_length_than_the_baseline_is_refused_after_one_seed(recorded: Path) -> None:
    recorded.write_text(FAST + "EPOCHS = 6\n")
    ours = ("dcgan-fashion", "-p", "own_loss.py", "--baseline", "baseline.json", "--no-speed", "--quality")
    outcome = run_command("check", *ours)
    assert "spec training.epochs: 5, now 6" in " ".join(outcome.output.split())
    assert "seed 5" not in outcome.output  # none of the seeds 52 to 56 is accepted
    assert outcome.exit_code == ExitCode.NOT_COMPARABLE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((), "it has no smoke runs"), (("--no-smoke", "--quality"), "it has no scores")],
)
def test_a_baseline_that_lacks_a_requested_part(arguments: tuple[str, ...], message: str, commit: Any) -> None:
    commit(FAST)
    arguments_ = ["dcgan-fashion", "-p", "own_loss.py"]
    recorded = run_command("baseline", "record", *arguments_, "--out", "baseline.json", "--no-smoke")
    assert recorded.exit_code == ExitCode.DONE
    outcome = run_command("check", *arguments_, "--baseline", "baseline.json", *arguments)
    assert outcome.exit_code == ExitCode.NOT_COMPARABLE
    assert message in " ".join(outcome.output.split())
