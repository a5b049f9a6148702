"""Metrics that compare features share one pass over the images; features of real images are kept between runs."""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from scored_subset import CPU, RECORD, SUBSET, TEST, data_of
from thumbnail_metrics import (
    SAMPLES,
    SEEN,
    Means,
    Scoring,
    Thumbnail,
    ThumbnailOptions,
    directly,
    over,
)
from torch import nn
from torch.utils.data import TensorDataset

from ganbench import BuildContext, DataError, PluginError
from ganbench.errors import GanbenchWarning
from ganbench.plugin.registry import Registry
from ganbench.results.differences import differing_fields
from ganbench.scoring import features
from ganbench.scoring.audit.scoring import score_together
from ganbench.scoring.features import FeatureWriter, StoredFeatures, cached_features
from ganbench.spec.configs import FeatureExtractorConfig

pytestmark = pytest.mark.usefixtures("nothing_seen")


def test_three_metrics_on_one_extractor_see_each_image_once(thumbnails: Registry, tmp_path: Path) -> None:
    metrics = [over(4), over(4, "extremes"), over(4, "spread")]
    scoring = Scoring(thumbnails, tmp_path, metrics)
    assert SEEN == {4: TEST + SAMPLES}  # all real images to compare with, and those that get a score
    for images in (0, 300):
        SEEN.clear()
        assert None not in scoring.scores(images)
        assert SEEN == {4: SAMPLES}
    SEEN.clear()
    again = Scoring(thumbnails, tmp_path, metrics)
    assert SEEN == {}
    assert again.scores() == scoring.scores(600)
    assert SEEN == {4: 2 * SAMPLES}


def test_metrics_that_want_other_images_get_their_own(thumbnails: Registry, tmp_path: Path) -> None:
    scoring = Scoring(thumbnails, tmp_path, [over(4), over(4, num_samples=60), over(4, generator_mode="train")])
    SEEN.clear()
    scoring.scores()
    assert SEEN == {4: 2 * SAMPLES + 60}


def test_metrics_over_different_extractors_get_features_of_their_own(thumbnails: Registry, tmp_path: Path) -> None:
    together = Scoring(thumbnails, tmp_path / "together", [over(4), over(7)])
    SEEN.clear()
    scores = together.scores()
    assert SEEN == {4: SAMPLES, 7: SAMPLES}
    alone = [Scoring(thumbnails, tmp_path / "alone", [over(cells)]).scores() for cells in (4, 7)]
    assert [[score] for score in scores] == alone
    assert scores[0] != scores[1]


def test_scores_do_not_depend_on_which_metrics_share_the_features(thumbnails: Registry, tmp_path: Path) -> None:
    shared = Scoring(thumbnails, tmp_path / "shared", [over(4), over(4, "extremes")]).scores()
    assert Scoring(thumbnails, tmp_path / "alone", [over(4)]).scores() == shared[:1] == shared[1:2]


def test_a_score_is_that_of_the_generated_images(thumbnails: Registry, tmp_path: Path) -> None:
    scoring = Scoring(thumbnails, tmp_path, [over(4)])
    nn.init.zeros_(scoring.networks.generator.linear.weight)
    nn.init.zeros_(scoring.networks.generator.linear.bias)
    grey = torch.full((SAMPLES, 1, 28, 28), 128, dtype=torch.uint8)
    assert scoring.scores() == [pytest.approx(directly(scoring.data, grey), rel=1e-6)]


def cached(folder: Path, suffix: str) -> list[Path]:
    return sorted((folder / "features").glob(f"*{suffix}"))


def forget_scores(folder: Path) -> None:
    """Let scores of real images be computed anew."""
    for file in (folder / "real-data-scores").iterdir():
        file.unlink()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda whole: whole[: len(whole) // 2],
    "altered": lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]),
    "altered within": lambda whole: whole[:60] + bytes([whole[60] ^ 1]) + whole[61:],
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("suffix", [".bin", ".layout"])
def test_cached_features_that_were_cut_or_altered_are_extracted_anew(
    suffix: str, damage: Callable[[bytes], bytes], thumbnails: Registry, tmp_path: Path
) -> None:
    first = Scoring(thumbnails, tmp_path, [over(4)])
    scores, before = first.scores(), [path.read_bytes() for path in cached(tmp_path, ".bin")]
    assert len(before) == 2
    for path in cached(tmp_path, suffix):
        path.write_bytes(damage(path.read_bytes()))
    forget_scores(tmp_path)
    SEEN.clear()
    second = Scoring(thumbnails, tmp_path, [over(4)])
    assert SEEN == {4: TEST + SAMPLES}
    assert second.scores() == scores
    assert second.prepared[0].real_data_scores == first.prepared[0].real_data_scores
    assert [path.read_bytes() for path in cached(tmp_path, ".bin")] == before
    SEEN.clear()
    Scoring(thumbnails, tmp_path, [over(4)])
    assert SEEN == {}  # the new files are whole


def test_features_without_their_layout_or_a_layout_without_features_are_extracted_anew(
    thumbnails: Registry, tmp_path: Path
) -> None:
    scores = Scoring(thumbnails, tmp_path, [over(4)]).scores()
    for suffix in (".bin", ".layout"):
        for path in cached(tmp_path, suffix):
            path.unlink()
        forget_scores(tmp_path)
        SEEN.clear()
        assert Scoring(thumbnails, tmp_path, [over(4)]).scores() == scores
        assert SEEN == {4: TEST + 2 * SAMPLES}
        assert len(cached(tmp_path, ".bin")) == len(cached(tmp_path, ".layout"))


def test_altered_statistics_of_real_features_are_computed_anew(thumbnails: Registry, tmp_path: Path) -> None:
    scores = Scoring(thumbnails, tmp_path, [over(4, "spread")]).scores()
    (derived,) = (path for path in (tmp_path / "derived").rglob("*") if path.is_file())
    derived.write_bytes(derived.read_bytes()[:-1] + b"!")
    assert Scoring(thumbnails, tmp_path, [over(4, "spread")]).scores() == scores


def test_features_of_other_data_are_not_taken(thumbnails: Registry, tmp_path: Path) -> None:
    Scoring(thumbnails, tmp_path, [over(4)])
    SEEN.clear()
    Scoring(thumbnails, tmp_path, [over(4)], record=RECORD.model_copy(update={"content_sha256": "f" * 64}))
    assert SEEN == {4: TEST + SAMPLES}


def test_metrics_that_compare_with_either_split_get_the_features_of_theirs(
    thumbnails: Registry, tmp_path: Path
) -> None:
    data = data_of()
    equal_sizes = replace(data, train=TensorDataset(*(tensor[:TEST] for tensor in data.train.tensors)))
    metrics = [over(4, split="test"), over(4, split="train")]
    scoring = Scoring(thumbnails, tmp_path, metrics, data=equal_sizes)
    for prepared, split in zip(scoring.prepared, (equal_sizes.test, equal_sizes.train), strict=True):
        features = torch.cat(list(prepared.real_features.batches()))
        assert torch.equal(features, Thumbnail(ThumbnailOptions())(split.tensors[0]))
    first, second = scoring.scores()
    assert first != second


def test_statistics_of_other_data_are_not_taken(thumbnails: Registry, tmp_path: Path) -> None:
    before = Scoring(thumbnails, tmp_path / "shared", [over(4, "spread")]).scores()
    half = data_of(test=TEST // 2)
    record = RECORD.model_copy(update={"content_sha256": "f" * 64})
    after, fresh = (
        Scoring(thumbnails, tmp_path / folder, [over(4, "spread")], data=half, record=record)
        for folder in ("shared", "new")
    )
    assert before != after.scores() == fresh.scores()
    assert after.prepared[0].real_data_scores == fresh.prepared[0].real_data_scores


def test_features_of_an_extractor_with_other_weights_are_not_taken(
    thumbnails: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Scoring(thumbnails, tmp_path, [over(4)])
    SEEN.clear()
    plain = Thumbnail.__init__

    def with_weights(self: Thumbnail, options: ThumbnailOptions) -> None:
        plain(self, options)
        self.register_buffer("scale", torch.ones(3))

    monkeypatch.setattr(Thumbnail, "__init__", with_weights)
    Scoring(thumbnails, tmp_path, [over(4)])
    assert SEEN == {4: TEST + SAMPLES}


def test_a_cache_that_cannot_be_written_is_a_warning_and_the_score_is_right(
    thumbnails: Registry, tmp_path: Path
) -> None:
    written = Scoring(thumbnails, tmp_path / "cache", [over(4), over(4, "spread")])
    scores = written.scores()
    (tmp_path / "file").write_text("a file where the cache should be")
    with pytest.warns(GanbenchWarning) as warned:
        scoring = Scoring(thumbnails, tmp_path / "file", [over(4), over(4, "spread")])
    messages = [str(warning.message) for warning in warned]
    assert f"cannot cache features in {tmp_path / 'file' / 'features'}: Not a directory" in messages
    with pytest.warns(GanbenchWarning, match="cannot write the cache file"):
        assert scoring.scores() == scores
    assert [each.real_data_scores for each in scoring.prepared] == [each.real_data_scores for each in written.prepared]
    assert (tmp_path / "file").read_text() == "a file where the cache should be"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_features_come_back_in_their_batches_as_they_were_extracted(dtype: torch.dtype, tmp_path: Path) -> None:
    batches = [torch.randn(size, 5).to(dtype) for size in (7, 7, 1, 4)]
    batches[1] = batches[1].t().contiguous().t()  # other strides

    def extract(writer: FeatureWriter) -> None:
        for batch in batches:
            writer.append(batch)

    never: Callable[[FeatureWriter], None] = lambda _: pytest.fail("extracted twice")  # noqa: E731
    for each in (extract, never):
        file = cached_features(tmp_path, "key", CPU, each)
        assert len(file) == 19
        for _ in range(2):  # as often as one likes
            read = list(file.batches())
            assert [batch.dtype for batch in read] == [dtype] * 4
            assert all(torch.equal(one, other) for one, other in zip(read, batches, strict=True))


def test_real_features_come_in_the_batches_that_score_images(thumbnails: Registry, tmp_path: Path) -> None:
    half = {"name": "means", "features": {"name": "thumbnail", "half": True}}
    (prepared,) = Scoring(thumbnails, tmp_path, [half]).prepared
    assert prepared.real_features is not None
    batches = list(prepared.real_features.batches())
    assert [len(batch) for batch in batches] == [64, 64, 64, 8]
    assert {batch.dtype for batch in batches} == {torch.bfloat16}
    assert torch.equal(torch.cat(batches), Thumbnail(ThumbnailOptions(half=True))(SUBSET.test.tensors[0][:TEST]))


def test_a_failed_extraction_leaves_no_features_behind(tmp_path: Path) -> None:
    def extract(writer: FeatureWriter) -> None:
        writer.append(torch.zeros(3, 2))
        raise ValueError("out of luck")

    with pytest.raises(ValueError, match="out of luck"):
        cached_features(tmp_path / "features", "key", CPU, extract)
    assert list((tmp_path / "features").iterdir()) == []


def keep(folder: Path, key: str, age: float, numbers: int = 250) -> Path:
    """Features of 1,000 bytes, last used so many seconds ago."""

    def extract(writer: FeatureWriter) -> None:
        writer.append(torch.zeros(1, numbers))

    path = cached_features(folder, key, CPU, extract).path
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_the_least_recently_used_features_beyond_the_limit_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, age in (("new", 10), ("oldest", 2000), ("old", 1000)):
        keep(tmp_path, key, age)
    assert len(list(tmp_path.glob("*.bin"))) == 3  # within the limit
    monkeypatch.setattr(features, "CACHE_BYTES", 2_500)
    keep(tmp_path, "one more", 0)
    assert {path.stem for path in tmp_path.glob("*.bin")} == {"new", "one more"}
    assert {path.stem for path in tmp_path.glob("*.layout")} == {"new", "one more"}
    monkeypatch.setattr(features, "CACHE_BYTES", 0)
    keep(tmp_path, "the last", 0)
    assert {path.stem for path in tmp_path.glob("*.bin")} == {"the last"}


def test_features_that_another_process_removed_from_the_cache_can_still_be_read(tmp_path: Path) -> None:
    numbers = torch.randn(10, 3)
    file = cached_features(tmp_path, "key", CPU, lambda writer: writer.append(numbers))
    file.path.unlink()
    (read,) = file.batches()
    assert torch.equal(read, numbers)


def test_features_may_be_read_twice_at_the_same_time(tmp_path: Path) -> None:
    numbers = torch.randn(4, 3)

    def extract(writer: FeatureWriter) -> None:
        for part in numbers.split(2):
            writer.append(part)

    file = cached_features(tmp_path, "key", CPU, extract)
    pairs = [(one, other) for one in file.batches() for other in file.batches()]
    assert [torch.cat(pair).tolist() for pair in pairs] == [
        torch.cat([one, other]).tolist() for one in numbers.split(2) for other in numbers.split(2)
    ]


def test_the_least_recently_used_derived_data_beyond_the_limit_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = cached_features(tmp_path / "features", "key", CPU, lambda writer: writer.append(torch.zeros(1, 2)))
    monkeypatch.setattr(features, "CACHE_BYTES", 2_500)
    computed = []

    def compute() -> dict[str, torch.Tensor]:
        computed.append(1)
        return {"sums": torch.zeros(250)}

    owners = [StoredFeatures(file, None, tmp_path / "derived" / name) for name in ("first", "second", "third")]
    for age, owner in zip((1000, 2000, 0), owners, strict=True):
        owner.derived("sums", compute)
        for path in (tmp_path / "derived").glob(f"{owner.derived_dir.name}/*"):  # type: ignore[union-attr]
            os.utime(path, (time.time() - age,) * 2)
    assert len(computed) == 3
    owners[0].derived("sums", compute)
    assert len(computed) == 3
    owners[1].derived("sums", compute)
    assert len(computed) == 4


def test_a_file_that_another_process_has_just_renamed_is_no_reason_to_extract_again(tmp_path: Path) -> None:
    (tmp_path / ".other.bin.1234.part.bin").symlink_to(tmp_path / "renamed since")
    assert keep(tmp_path, "key", 0).exists()


def test_features_that_are_used_again_count_as_new(tmp_path: Path) -> None:
    path = keep(tmp_path, "key", 2000)
    cached_features(tmp_path, "key", CPU, lambda _: pytest.fail("extracted twice"))
    assert time.time() - path.stat().st_mtime < 1000


@pytest.mark.filterwarnings("ignore:cannot cache features")
@pytest.mark.parametrize("of", ["real", "generated"])
def test_a_full_disk_is_named_and_not_the_plugin(of: str, thumbnails: Registry, tmp_path: Path) -> None:
    scoring = Scoring(thumbnails, tmp_path, [over(4)]) if of == "generated" else None
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(DataError, match=r"^cannot write features to .*: File too large; free space there"):
            scoring.scores() if scoring else Scoring(thumbnails, tmp_path, [over(4)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_cache_that_can_only_be_read_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = keep(tmp_path, "key", 0)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    assert cached_features(tmp_path, "key", CPU, lambda _: pytest.fail("extracted twice")).path == kept


def test_generated_features_leave_no_files_behind(
    thumbnails: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are closed first: on NFS, a folder with open files cannot be removed."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    scoring = Scoring(thumbnails, tmp_path / "cache", [over(4)])
    before = set((tmp_path / "cache").rglob("*"))
    cleanup, opened = TemporaryDirectory.cleanup, list[Path]()

    def observed(folder: TemporaryDirectory[str]) -> None:
        files = [link.resolve() for link in Path("/proc/self/fd").iterdir()]
        opened.extend(file for file in files if scratch in file.parents)
        cleanup(folder)

    monkeypatch.setattr(TemporaryDirectory, "cleanup", observed)
    scoring.scores()
    images = scoring.data.train.tensors[0][:40]
    score_together(scoring.prepared, scoring.evaluator.real_data, images)
    assert opened == []
    assert list(scratch.iterdir()) == []
    assert set((tmp_path / "cache").rglob("*")) == before


def test_features_of_an_extractor_that_a_metric_wraps_depend_on_its_code_options_and_weights(
    thumbnails: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrapped(nn.Module):
        num_features, protocol = 16, {"extractor": "wrapped"}

        def __init__(self, features: Thumbnail, scale: float) -> None:
            super().__init__()
            self.features = features
            self.register_buffer("scale", torch.tensor(scale))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.features(images)

    plain, protocols = Means.__init__, []
    for scale, half, extracted in ((1.0, False, True), (1.0, False, False), (2.0, False, True), (2.0, True, True)):
        monkeypatch.setattr(Means, "__init__", lambda self, each, scale=scale: plain(self, Wrapped(each, scale).eval()))
        SEEN.clear()
        metric = over(4)
        metric["features"]["half"] = half
        protocols.append(Scoring(thumbnails, tmp_path, [metric]).prepared[0].protocol)
        assert bool(SEEN) is extracted, (scale, half)
    assert protocols[0] == protocols[1]
    assert differing_fields(protocols[1:3]).keys() == {"metric.features.state"}


def test_an_extractor_is_moved_to_the_device(
    thumbnails: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Thumbnail.__init__

    def with_weights(self: Thumbnail, options: ThumbnailOptions) -> None:
        plain(self, options)
        self.weights = nn.Linear(1, 1)

    monkeypatch.setattr(Thumbnail, "__init__", with_weights)
    config = FeatureExtractorConfig.model_validate("thumbnail", context={"registry": thumbnails})
    context = BuildContext(data_shape=(1, 8, 8), num_classes=1, device="meta", cache_dir=tmp_path, seed=0)
    assert {parameter.device.type for parameter in config.build(context).parameters()} == {"meta"}


def with_batch_statistics(extractor: Thumbnail) -> Thumbnail:
    extractor.norm = nn.BatchNorm1d(1, track_running_stats=False).eval()
    return extractor


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda extractor: extractor.train(), "is in training mode; call .eval() in build"),
        (lambda extractor: SimpleNamespace(**vars(extractor)), "must be a torch.nn.Module, so that scores record its"),
        (with_batch_statistics, "its batch norm 'norm' has no running statistics"),
    ],
)
def test_an_extractor_is_a_module_in_eval_mode_that_uses_no_batch_statistics(
    spoil: Callable[[Thumbnail], Any],
    problem: str,
    thumbnails: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = Means.__init__
    monkeypatch.setattr(Means, "__init__", lambda self, each: plain(self, spoil(each)))
    with pytest.raises(PluginError, match=f"'(thumbnail|means)'.*{re.escape(problem)}"):
        Scoring(thumbnails, tmp_path, [over(4)])
