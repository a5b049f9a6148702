"""What the shipped trackers log and store, without their libraries."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from stored_result import result

from ganbench import TrackedRun, TrackerContext
from ganbench_trackers.logging_tracker import LoggingTracker, final_values, outcome, without_password


def test_trackers_get_the_final_scores_of_metrics_with_one_label() -> None:
    (fid,) = result().metrics
    values = final_values(result(metrics=[fid, fid.model_copy(update={"id": "fid-train", "value": 3.0})]))
    assert values["final/FID (fashion-cnn) [fid]"] == 4.0
    assert values["final/FID (fashion-cnn) [fid-train]"] == 3.0


def test_trackers_get_how_long_a_run_was_and_whether_its_speed_is_unreliable() -> None:
    ended = result(throughput=result().throughput.model_copy(update={"disturbed": True}))
    values = final_values(ended)
    assert (values["final/images"], values["final/epochs"]) == (5000, 1.0)
    assert outcome(ended) == {"status": "completed", "disturbed": True}


def test_a_resumed_run_without_scores_replaces_those_that_an_earlier_process_logged_as_final(tmp_path: Path) -> None:
    context = TrackerContext(tmp_path, tracked_run=TrackedRun("7"))
    LoggingTracker(context)  # the earlier process was killed
    (tmp_path / "result.json").write_text(result().to_json())
    values = LoggingTracker(context).final_values(result(status="interrupted", metrics=[]))
    assert math.isnan(values["final/FID (fashion-cnn)"])
    assert math.isnan(values["best/FID (fashion-cnn)"])
    assert values["final/images"] == 5000
    assert LoggingTracker(context).final_values(result())["final/FID (fashion-cnn)"] == 4.0
    assert "final/FID (fashion-cnn)" not in LoggingTracker(TrackerContext(tmp_path)).final_values(result(metrics=[]))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:s@cret@host:5000/x", "https://host:5000/x"),
        ("mysql+pymysql://me:secret@host/db", "mysql+pymysql://host/db"),
        ("sqlite:///a@b.db", "sqlite:///a@b.db"),
        ("https://host/@me", "https://host/@me"),
    ],
)
def test_passwords_are_not_stored_with_the_address_of_a_tracker(address: str, shown: str) -> None:
    assert without_password(address) == shown
