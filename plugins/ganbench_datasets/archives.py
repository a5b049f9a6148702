"""Datasets published as one tar archive, whose members are extracted into a folder and verified by their MD5."""

from __future__ import annotations

import hashlib
import os
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torchvision.datasets.utils import download_url

from ganbench import DataError, atomic_write

from .downloads import download_folder, verify
from .published import Source

CHUNK = 2**20  # bytes


@dataclass(frozen=True)
class ArchivedDataset:
    """The published archive and the members to read."""

    title: str
    url: str
    archive: str  # its file name
    archive_md5: str
    folder: str  # the folder in the archive; also the one into which torchvision extracts it
    md5: Mapping[str, str]  # of the required members

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256("".join(self.md5.values()).encode()).hexdigest()

    def find(self, source: Source, data_dir: Path) -> tuple[Path, str]:
        """Return the folder with the verified members, and their source; "auto" tries files, then the download.

        Raises `DownloadError` if the download fails, and `DataError` for missing files and for files that differ from
        the published ones.
        """
        target = data_dir / self.folder
        found = "files"
        if source == "download" or not self.extracted(target):
            archive = data_dir / self.archive
            if source != "download" and os.path.isfile(archive):  # noqa: PTH113
                self.extract(archive, target)
            elif source == "files":
                raise DataError(
                    f"{self.title}: not all files found in {target} ({', '.join(self.md5)}), and no archive {archive}. "
                    f"Put {self.archive} into {data_dir}, or download it: -o dataset.source=download"
                )
            else:
                self.download(data_dir, target)
                found = "download"
        for name, expected in self.md5.items():
            verify(self.title, target / name, expected, "md5")
        return target, found

    def extracted(self, target: Path) -> bool:
        # os.path: false where a folder may not be searched
        return all(os.path.isfile(target / name) for name in self.md5)  # noqa: PTH113

    def download(self, data_dir: Path, target: Path) -> None:
        """Download with torchvision and extract; the archive is not kept."""
        with download_folder(self.title, data_dir, target, f"put {self.archive} into {data_dir}") as folder:
            download_url(self.url, folder, self.archive, self.archive_md5)
            self.extract(folder / self.archive, target)

    def extract(self, archive: Path, target: Path) -> None:
        """Extract the required members atomically, after verifying the MD5 of each."""
        missing = dict(self.md5)
        try:
            target.mkdir(parents=True, exist_ok=True)
            with tarfile.open(archive, "r|gz") as members:  # read once from start to end
                for member in members:
                    name = member.name.removeprefix("./").removeprefix(f"{self.folder}/")
                    if name in missing and member.isfile():
                        self.extract_member(members, member, archive, target / name, missing.pop(name))
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise DataError(
                f"{self.title}: {archive} is truncated or corrupt ({error}); remove or replace it"
            ) from None
        except OSError as error:
            raise DataError(
                f"{self.title}: cannot extract {archive} to {target}: {error.strerror or error}; give a writable "
                "folder with --data-dir"
            ) from error
        if missing:
            raise DataError(
                f"{self.title}: {archive} is truncated or not the published archive: it has no "
                f"{', '.join(missing)} in the folder {self.folder}; remove or replace it"
            )

    def extract_member(
        self, members: tarfile.TarFile, member: tarfile.TarInfo, archive: Path, target: Path, expected: str
    ) -> None:
        content = members.extractfile(member)
        assert content is not None  # a regular file
        digest = hashlib.md5(usedforsecurity=False)
        with atomic_write(target) as part:
            with part.open("wb") as written:
                while chunk := content.read(CHUNK):
                    digest.update(chunk)
                    written.write(chunk)
            if digest.hexdigest() != expected:
                raise DataError(
                    f"{self.title}: {archive} does not contain the published {target.name}: its MD5 is "
                    f"{digest.hexdigest()}, expected {expected}. Remove or replace the archive"
                )
