"""Weights files that others published: found in the torch hub cache, downloaded once, and verified."""

from __future__ import annotations

import hashlib
import re
import socket
import time
from pathlib import Path
from threading import Thread

import pytest

from ganbench import BuildContext, DataError, MissingError
from ganbench.errors import ExitCode
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registry import Registry
from ganbench_features.published_weights import find_weights

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for torch hub's checkpoints."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


def find(published: Path) -> Path:
    return find_weights("some-extractor", published.as_uri(), SHA256, None)


@pytest.mark.parametrize("name", ["inception-v3", "vgg16"])
def test_an_option_with_a_missing_file_is_an_error(name: str, registry: Registry, tmp_path: Path) -> None:
    plugin = registry.find(Kind.FEATURE_EXTRACTOR, name)
    context = BuildContext(data_shape=(1, 28, 28), num_classes=10, device="cpu", cache_dir=tmp_path, seed=0)
    path = tmp_path / "none.pth"
    with pytest.raises(MissingError, match=re.escape(f"{name}: weights file not found: {path}")) as raised:
        plugin.build(plugin.plugin.options(weights=path), context)
    assert raised.value.exit_code == ExitCode.NOT_COMPARABLE == 3


def test_a_file_below_the_home_folder_is_found(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    plugin = registry.find(Kind.FEATURE_EXTRACTOR, "inception-v3").plugin
    assert plugin.options(weights="~/weights.pth").weights == tmp_path / "weights.pth"


def test_without_cache_and_network_the_error_says_where_to_put_the_weights(hub: Path, tmp_path: Path) -> None:
    published = tmp_path / "no-such-folder" / "weights.pth"
    with pytest.raises(MissingError) as raised:
        find(published)
    hints = (f"Download {published.as_uri()} elsewhere", f"copy it to {hub / 'weights.pth'}", "features.weights")
    assert all(hint in str(raised.value) for hint in ("some-extractor: ", *hints))
    assert raised.value.exit_code == ExitCode.NOT_COMPARABLE


@pytest.mark.parametrize(("answer", "reason"), [(b"", "timed out"), (b"no HTTP\r\n", "no HTTP")])
def test_a_server_that_stalls_or_does_not_speak_http_is_an_error(
    hub: Path, answer: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganbench_features.published_weights.NETWORK_TIMEOUT", 0.1)
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(answer)
                time.sleep(1)  # then it closes, so that a client without a timeout does not wait forever

        thread = Thread(target=serve)
        thread.start()
        with pytest.raises(MissingError, match=rf"some-extractor: .* could not be downloaded \(.*{reason}.*\)\. "):
            find_weights("some-extractor", f"http://127.0.0.1:{server.getsockname()[1]}/weights.pth", SHA256, None)
        thread.join()


def test_a_read_only_cache_is_an_error(hub: Path, tmp_path: Path) -> None:
    (tmp_path / "torch").write_text("a file where the folder should be")
    with pytest.raises(MissingError, match=re.escape(str(hub))):
        find(tmp_path / "weights.pth")


def test_a_home_folder_that_may_not_be_searched_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / ("x" * 300)))  # another error than a missing file, also for root
    with pytest.raises(MissingError, match="File name too long"):
        find(tmp_path / "weights.pth")


def test_weights_are_downloaded_once_and_cached(hub: Path, tmp_path: Path) -> None:
    published = tmp_path / "weights.pth"
    published.write_bytes(CONTENT)
    assert find(published) == hub / "weights.pth"
    published.unlink()
    assert find(published).read_bytes() == CONTENT


def test_an_invalid_download_is_not_cached(hub: Path, tmp_path: Path) -> None:
    published = tmp_path / "weights.pth"
    published.write_bytes(b"a login page")
    with pytest.raises(MissingError, match="invalid hash value"):
        find(published)
    assert not list(hub.iterdir())


def test_the_error_for_a_modified_cached_file_names_it(hub: Path, tmp_path: Path) -> None:
    hub.mkdir(parents=True)
    (hub / "weights.pth").write_bytes(CONTENT + b"!")
    with pytest.raises(DataError, match=rf"{re.escape(str(hub))}.*is not the published file.*Remove it"):
        find(tmp_path / "weights.pth")
