"""What the shipped trackers log and store, without their libraries."""

from __future__ import annotations

import pytest
from stored_result import result

from ganbench_trackers.logging_tracker import final_values, without_password


def test_trackers_get_the_final_scores_of_metrics_with_one_label() -> None:
    (fid,) = result().metrics
    values = final_values(result(metrics=[fid, fid.model_copy(update={"id": "fid-train", "value": 3.0})]))
    assert values["final/FID (fashion-cnn) [fid]"] == 4.0
    assert values["final/FID (fashion-cnn) [fid-train]"] == 3.0


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
