"""Each shipped tracker, read back with its own library. None of them reaches the network here.

Skipped, tracker by tracker, where the library is not installed: no extra of theirs is in `dev`.
"""

from __future__ import annotations

import json
import math
import shutil
import struct
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_line import run_command
from short_epochs import FILE, SMALL_FASHION

from ganbench import TrackedRun, TrackerContext, load_result
from ganbench.errors import ExitCode
from ganbench.reporting.trackers import fan_out
from ganbench.reporting.trackers.fan_out import read_tracked_runs
from ganbench.testing import TrackerContract
from ganbench.testing.tracker import INFO, POINT, ROW, result
from ganbench_trackers import ganbench_trackers

PLUGINS = {plugin.name: plugin for plugin in ganbench_trackers()}
INSTALLED = [name for name, plugin in PLUGINS.items() if all(map(find_spec, plugin.requires))]
QUICK = [*SMALL_FASHION, "training.batch_size=250", "training.epochs=1", "metrics.0.at_epochs=[0]"]
FID = "FID (fashion-cnn)"
ENVIRONMENT = {
    "WANDB_MODE": "offline",
    "WANDB_ERROR_REPORTING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "DO_NOT_TRACK": "1",
}


@pytest.fixture(scope="module", autouse=True)
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for all that trackers write outside the run directory."""
    folder = tmp_path_factory.mktemp("trackers")
    folders = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "TRACKIO_DIR": str(folder / "trackio"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, **folders}.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        patch.setattr(fan_out, "CLOSE_SECONDS", 600.0)  # the test machine may be busy
        yield folder


@pytest.fixture(scope="module")
def tracked(offline: Path) -> Path:
    """A run that was tracked by all trackers that are installed, then extended by one epoch."""
    begin = ["run", "dcgan-fashion", "-p", FILE, "--device", "cpu", "--out", "run"]
    for arguments in (
        [*begin, *words("-o", QUICK), *words("--track", INSTALLED)],
        ["run", "--resume", "run", "--epochs", "2"],
    ):
        outcome = run_command(*arguments)
        assert outcome.exit_code == ExitCode.DONE, outcome.output
        assert "warning" not in outcome.output
        shutil.copy(offline / "run" / "result.json", offline / f"{arguments[1]}.json")
    return offline / "run"


def words(option: str, values: list[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def event_reader() -> Any:
    """Return TensorBoard's class that reads its files; skip the test without it (the tracker only needs tensorboardX).

    A tracker's folder is called tensorboard, too, and would be imported in its place.
    """
    module = "tensorboard.backend.event_processing.event_accumulator"
    return pytest.importorskip(module, exc_type=ImportError).EventAccumulator


def require(name: str) -> None:
    for module in PLUGINS[name].requires:
        pytest.importorskip(module)


def scores(directory: Path) -> list[tuple[int, float]]:
    """Return the images seen and the value of each score, including the one with which the first process ended."""
    first, second = (load_result(directory.parent / name) for name in ("dcgan-fashion.json", "--resume.json"))
    points = [*first.metrics[0].curve, second.metrics[0].curve[-1]]
    assert [point.images for point in points] == [0, 500, 1_000]
    return [(point.images, pytest.approx(point.value, rel=1e-6)) for point in points]


@pytest.mark.parametrize("name", INSTALLED)
def test_it_keeps_the_contract(name: str, tmp_path: Path) -> None:
    class Contract(TrackerContract):
        plugin = PLUGINS[name]

    Contract().test_it_accepts_every_event()


@pytest.mark.parametrize("name", PLUGINS)
def test_its_options_are_shown_without_its_library(name: str) -> None:
    outcome = run_command("show", name)
    assert outcome.exit_code == ExitCode.DONE, outcome.output
    assert all(option in outcome.output for option in PLUGINS[name].options.model_fields)


def test_a_resumed_run_is_one_run_in_each_tracker(tracked: Path) -> None:
    assert set(read_tracked_runs(tracked)) == set(INSTALLED)


def test_tensorboard(tracked: Path) -> None:
    read_events = event_reader()
    result = load_result(tracked)
    events = read_events(str(tracked / "tensorboard"), {"images": 0, "scalars": 0, "tensors": 0}).Reload()
    assert [(event.step, event.value) for event in events.Scalars("FID__fashion-cnn_")] == scores(tracked)
    losses = [event.step for event in events.Scalars("d_loss")]
    assert len(losses) == len(set(losses)) == len(result.throughput.windows)
    assert [event.step for event in events.Images("samples/generated")] == [500, 1_000]
    assert [event.step for event in events.Images("samples/real")]
    at_end = read_events(str(tracked / "tensorboard" / "final")).Reload()
    (final,) = at_end.Scalars("final/FID__fashion-cnn_")[-1:]
    assert (final.step, final.value) == (1_000, pytest.approx(result.metrics[0].value))
    settings = at_end.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"completed" in settings
    assert b"disturbed" in settings


def test_mlflow(tracked: Path, offline: Path) -> None:
    require("mlflow")
    from mlflow import MlflowClient

    result = load_result(tracked)
    client = MlflowClient()
    (experiment,) = (each for each in client.search_experiments() if each.name == "dcgan-fashion")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_id == read_tracked_runs(tracked)["mlflow"].id
    assert run.info.status == "FINISHED"
    assert run.data.tags["ganbench.run_directory"] == str(tracked)
    assert run.data.params["training.batch_size"] == "250"
    points = client.get_metric_history(run.info.run_id, "FID fashion-cnn")
    assert sorted((point.step, point.value) for point in points) == scores(tracked)
    assert len(client.get_metric_history(run.info.run_id, "d_loss")) == len(result.throughput.windows)
    assert run.data.metrics["final/FID fashion-cnn"] == pytest.approx(result.metrics[0].value)
    assert (run.data.metrics["final/images"], run.data.metrics["final/epochs"]) == (1_000, 2.0)
    assert run.data.tags["ganbench.disturbed"] == str(result.throughput.disturbed).lower()
    files = {each.path for each in client.list_artifacts(run.info.run_id)}
    assert {"result.json", "spec.toml", "losses.png", "images"} <= files
    images = {each.path for each in client.list_artifacts(run.info.run_id, "images")}
    assert {500, 1_000} <= {int(path.split("+")[2]) for path in images if "generated" in path}


def test_trackio(tracked: Path) -> None:
    require("trackio")
    from trackio.sqlite_storage import SQLiteStorage

    result = load_result(tracked)
    assert result.run_id in SQLiteStorage.get_runs("ganbench")  # next to those of other tests
    logs = SQLiteStorage.get_logs("ganbench", result.run_id)
    assert [(entry["step"], entry[FID]) for entry in logs if FID in entry] == scores(tracked)
    assert len([entry for entry in logs if "d_loss" in entry]) == len(result.throughput.windows)
    assert [entry["step"] for entry in logs if "samples/generated" in entry] == [500, 1_000]
    assert logs[-1][f"final/{FID}"] == pytest.approx(result.metrics[0].value)
    assert logs[-1]["status"] == "completed"
    assert logs[-1]["disturbed"] == result.throughput.disturbed


def leveldb_records(content: bytes) -> Iterator[bytes]:
    """Yield the records of a log in LevelDB's format, in which wandb stores a run: wandb has no Python reader for it.

    Blocks of 32 KiB hold chunks with a header of checksum (4 bytes), length (2) and type (1: whole, 2: first,
    3: middle, 4: last); the first 7 bytes of the file identify wandb.
    """
    record, at = b"", 7
    while at < len(content):
        if (left := 2**15 - at % 2**15) < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        record += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def wandb_records(directory: Path) -> list[Any]:
    from wandb.proto.wandb_internal_pb2 import Record

    records = []
    for file in sorted((directory / "wandb").glob("offline-run-*/*.wandb")):
        for _ in range(100):  # wandb's own process may write the last records after finish() has returned
            of_file = [Record.FromString(data) for data in leveldb_records(file.read_bytes())]
            if of_file and of_file[-1].HasField("exit"):
                break
            time.sleep(0.1)  # seconds
        records += of_file
    return records


def wandb_summary(directory: Path) -> dict[str, Any]:
    """Return the last value of each key in the summary, over all processes of the run."""
    return {
        item.key or item.nested_key[0]: json.loads(item.value_json)
        for record in wandb_records(directory)
        for item in record.summary.update
    }


def test_wandb_offline(tracked: Path) -> None:
    require("wandb")

    result = load_result(tracked)
    records = wandb_records(tracked)
    assert {record.run.run_id for record in records if record.HasField("run")} == {result.run_id}
    rows = [
        {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.HasField("history")
    ]
    assert [(row["images"], row[FID]) for row in rows if FID in row] == scores(tracked)
    assert len([row for row in rows if "d_loss" in row]) == len(result.throughput.windows)
    assert [row["images"] for row in rows if "samples/generated" in row] == [500, 1_000]
    summary = wandb_summary(tracked)
    assert summary[f"final/{FID}"] == pytest.approx(result.metrics[0].value)
    assert summary["status"] == "completed"
    assert summary["disturbed"] == result.throughput.disturbed


@pytest.mark.parametrize("name", INSTALLED)
def test_a_run_that_is_resumed_and_ends_without_scores_does_not_keep_the_earlier_ones_as_final(
    name: str, tmp_path: Path
) -> None:
    plugin, tracked_run = PLUGINS[name], None
    ended = result("completed", [ROW], [POINT])
    for final in (ended, result("interrupted", [ROW, ROW], [])):
        tracker = plugin.build(plugin.options(), TrackerContext(tmp_path, run_id=name, tracked_run=tracked_run))
        tracker.on_run_start(INFO)
        tracked_run = tracker.tracked_run
        tracker.on_run_end(final)
        (tmp_path / "result.json").write_text(ended.to_json())
    assert math.isnan(FINAL_SCORE[name](tmp_path, tracked_run.id))


def tensorboard_score(directory: Path, _: str) -> float:
    return event_reader()(str(directory / "tensorboard" / "final")).Reload().Scalars("final/FID__test_")[-1].value


def mlflow_score(_: Path, run: str) -> float:
    from mlflow import MlflowClient

    return MlflowClient().get_run(run).data.metrics["final/FID test"]


def trackio_score(_: Path, run: str) -> float:
    from trackio.sqlite_storage import SQLiteStorage

    return SQLiteStorage.get_logs("ganbench", run)[-1]["final/FID (test)"]


def wandb_score(directory: Path, _: str) -> float:
    value = wandb_summary(directory)["final/FID (test)"]
    return math.nan if value is None else float(value)  # wandb stores null for NaN


FINAL_SCORE = {
    "tensorboard": tensorboard_score, "mlflow": mlflow_score, "trackio": trackio_score, "wandb": wandb_score,
}  # fmt: skip


def test_tensorboard_hides_all_that_was_logged_before_a_run_was_resumed_at_its_start(tmp_path: Path) -> None:
    read_events = event_reader()
    from ganbench_trackers.tensorboard import TensorBoard

    for tracked_run, images in ((None, [64, 128]), (TrackedRun("tensorboard"), [64])):
        tracker = TensorBoard(TrackerContext(tmp_path, tracked_run=tracked_run))
        tracker.on_run_start(INFO)
        for seen in images:
            tracker.log({"d_loss": 1.0}, seen)
        tracker.writer.close()
        time.sleep(1.1)  # the name of the next file contains the second
    events = read_events(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("d_loss")] == [64]
