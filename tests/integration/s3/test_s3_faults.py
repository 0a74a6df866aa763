"""What S3 refuses, and a network that is not there: each fault says what it is and where."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from s3_server import BUCKET, Wire, free_port

from spotwise.checkpoints import StorageError, storage_for
from spotwise.checkpoints.storage import Storage


def create(storage: Storage) -> None:
    with storage.create("a") as stream:
        stream.write(b"1")


ACTIONS = {
    "put": lambda storage: storage.put("a", b"1"),
    "create": create,
    "append_line": lambda storage: storage.append_line("a", b"1"),
    "read": lambda storage: storage.read("a"),
    "size": lambda storage: storage.size("a"),
    "folders": lambda storage: storage.folders(),
    "remove": lambda storage: storage.remove("a"),
}

REFUSAL = b"""<?xml version="1.0"?><Error><Code>InvalidAccessKeyId</Code>
<Message>The AWS Access Key Id you provided does not exist in our records.</Message></Error>"""


class Refusing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # clients ask first whether they may send

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(REFUSAL)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(REFUSAL)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815 - named by http.server

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that knows nobody's key."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    point_clients_at(f"http://127.0.0.1:{server.server_port}", monkeypatch)
    yield
    server.shutdown()
    server.server_close()


def point_clients_at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)


@pytest.fixture(autouse=True)
def forget_clients() -> Iterator[None]:
    """Clients are kept by their settings, which do not hold the address."""
    yield
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("action", ACTIONS)
def test_a_bucket_that_is_not_there_is_named(action: str) -> None:
    storage = storage_for("s3://nobodys/checkpoints")
    with pytest.raises(StorageError, match=r"s3://nobodys/checkpoints cannot be used.*bucket"):
        ACTIONS[action](storage)


@pytest.mark.usefixtures("refusing")
@pytest.mark.parametrize("action", ACTIONS)
def test_a_key_that_is_not_accepted_is_told(action: str) -> None:
    with pytest.raises(StorageError, match="Check the credentials"):
        ACTIONS[action](storage_for(f"s3://{BUCKET}/faults"))


@pytest.mark.slow
@pytest.mark.parametrize("action", ["put", "read"])
def test_a_server_that_is_not_there_is_told(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point_clients_at(f"http://127.0.0.1:{free_port()}", monkeypatch)
    with pytest.raises(StorageError, match="Could not connect"):
        ACTIONS[action](storage_for(f"s3://{BUCKET}/faults"))


@pytest.mark.slow
def test_a_connection_that_breaks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(os.environ["AWS_ENDPOINT_URL"])
    point_clients_at(wire.endpoint, monkeypatch)
    wire.cut()
    with pytest.raises(StorageError, match="Connection"):
        ACTIONS["put"](storage_for(f"s3://{BUCKET}/faults"))
    wire.close()
