"""Storage behind a URL that fsspec opens: object stores, and ``memory://`` in tests."""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

from .digest import CHUNK_BYTES
from .errors import StorageError
from .json_lines import line_after
from .lent_packages import borrow_packages

# What the clouds' clients raise without deriving it from OSError. Looked up only in modules that are loaded.
_CLIENT_FAULTS = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("botocore.parsers", "ResponseParserError"),
    ("aiohttp.client_exceptions", "ClientError"),
    ("gcsfs.retry", "HttpError"),
    ("google.auth.exceptions", "GoogleAuthError"),
)
_CLIENTS = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}  # by scheme: what pip installs


class RemoteStorage:
    """Objects under a URL. An object appears whole or not at all when its upload ends, so nothing needs a rename."""

    def __init__(self, url: str) -> None:
        self._url = url
        with _translated(url):
            self._files, self._root = _open_file_system(url)

    @property
    def url(self) -> str:
        return self._url

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        with _translated(self._url, writing=True), self._files.open(self._path(name), "wb") as stream:
            yield cast("BinaryIO", stream)

    def put(self, name: str, data: bytes) -> None:
        with _translated(self._url, writing=True):
            self._files.pipe_file(self._path(name), data)

    def open(self, name: str) -> BinaryIO:
        """A private copy on this machine: what reads it seeks and reads twice, which should cost one download."""
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        with _translated(self._url), self._files.open(self._path(name), "rb") as stream:
            shutil.copyfileobj(stream, copy, CHUNK_BYTES)
        copy.seek(0)
        return cast("BinaryIO", copy)

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        if start and start >= self.size(name):
            return b""
        end = None if length is None else start + length
        with _translated(self._url):
            return cast("bytes", self._files.cat_file(self._path(name), start=start if end else start or None, end=end))

    def holds(self, name: str) -> bool:
        """Names of objects lead nowhere else; those of a manifest never go up."""
        return True

    def size(self, name: str) -> int:
        with _translated(self._url):
            return int(self._files.size(self._path(name)))

    def append_line(self, name: str, line: bytes) -> None:
        """Object stores cannot append: the object is written anew. One writer, and files of some kilobytes."""
        try:
            before = self.read(name)
        except FileNotFoundError:
            before = b""
        self.put(name, before + line_after(before, line))

    def folders(self) -> list[str]:
        with suppress(FileNotFoundError), _translated(self._url):
            found = self._files.ls(self._root or "/", detail=True)
            return sorted(_last_part(entry["name"]) for entry in found if entry["type"] == "directory")
        return []

    def files(self, folder: str) -> dict[str, int]:
        with suppress(FileNotFoundError), _translated(self._url):
            found = self._files.find(self._path(folder), detail=True)
            return {self._relative(name): int(entry["size"]) for name, entry in found.items()}
        return {}

    def delete(self, name: str) -> None:
        with suppress(FileNotFoundError), _translated(self._url):
            self._files.rm_file(self._path(name))

    def remove(self, folder: str) -> None:
        with suppress(FileNotFoundError), _translated(self._url):
            self._files.rm(self._path(folder), recursive=True)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _relative(self, path: str) -> str:
        return path.lstrip("/").removeprefix(f"{self._root.lstrip('/')}/")


def _open_file_system(url: str) -> tuple[Any, str]:
    try:
        return _url_to_fs(url)
    except ImportError as fault:
        if borrow_packages():
            return _open_file_system(url)
        scheme = url.partition("://")[0]
        packages = " ".join(["fsspec", *filter(None, [_CLIENTS.get(scheme)])])
        raise StorageError(
            f"{url} needs another package: {fault}. Add 'pip install {packages}' to the job's setup; "
            f"where no job runs, install it here."
        ) from fault
    except ValueError as fault:
        raise StorageError(f"{url} is no place that checkpoints can be kept: {fault}") from fault


def _url_to_fs(url: str) -> tuple[Any, str]:
    """Nothing that was listed is remembered: others write here too."""
    fsspec = importlib.import_module("fsspec")
    files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    return files, str(root).rstrip("/")


def _last_part(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _client_faults() -> tuple[type[BaseException], ...]:
    loaded = [(sys.modules.get(module), name) for module, name in _CLIENT_FAULTS]
    return tuple(getattr(module, name) for module, name in loaded if module is not None)


@contextmanager
def _translated(url: str, *, writing: bool = False) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as fault:
        if writing or _is_of_bucket(fault):
            raise StorageError(f"{url} cannot be used: {fault}. Make the bucket first, or correct its name.") from fault
        raise
    except PermissionError as fault:
        raise StorageError(f"{url} may not be used: {fault}. Check the credentials and what they allow.") from fault
    except OSError:
        raise
    except _client_faults() as fault:  # looked up only now, when the client is loaded
        raise StorageError(
            f"{url} cannot be used: {fault}. Check the address, the credentials, the network."
        ) from fault


def _is_of_bucket(fault: FileNotFoundError) -> bool:
    """Whether it is the bucket that is not there; to s3fs that is the same as a file that is not."""
    response = getattr(fault.__cause__, "response", None)
    return isinstance(response, dict) and response.get("Error", {}).get("Code") == "NoSuchBucket"
