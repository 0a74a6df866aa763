"""An S3 server on this machine (moto's), and a wire to it that can be cut or made slow.

python s3_server.py COMMAND...    runs a command with a server, which it finds by the environment
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BUCKET = "runs"
SERVER = os.environ.get("SPOTWISE_TEST_S3", "")  # its address, where there is one
_PATIENCE_S = 60.0


def environment(endpoint: str) -> dict[str, str]:
    """What clients need to use the server at this address, and nothing of this machine's own clouds."""
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """A server without any bucket; its address. What it says goes to ``folder``."""
    port = free_port()
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "s3.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def make_bucket(endpoint: str, name: str = BUCKET) -> None:
    import boto3

    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}  # of nothing
    boto3.client("s3", endpoint_url=endpoint, **keys).create_bucket(Bucket=name)


class Wire:
    """A port that leads to another one. Uploads through it can be slowed down, all of it can be cut and mended."""

    def __init__(self, target: str) -> None:
        self._target = ("127.0.0.1", int(target.rpartition(":")[2]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.bytes_per_s: float | None = None  # of what clients send; None: as fast as it comes
        self.sent = 0  # bytes that clients have sent
        self._is_cut = False
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Connections break, and new ones are closed at once."""
        self._is_cut = True
        for end in list(self._open):
            _close(end)

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        if self._is_cut:
            _close(client)
            return
        server = socket.create_connection(self._target)
        self._open |= {client, server}
        threading.Thread(target=self._carry, args=(server, client), daemon=True).start()
        self._carry(client, server, counted=True)

    def _carry(self, source: socket.socket, target: socket.socket, *, counted: bool = False) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 14):
                if counted:
                    self.sent += len(data)
                    time.sleep(len(data) / self.bytes_per_s if self.bytes_per_s else 0.0)
                target.sendall(data)
        for end in (source, target):
            self._open.discard(end)
            _close(end)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + _PATIENCE_S
    while time.monotonic() < give_up:
        assert process.poll() is None, "the S3 server did not start"
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"the S3 server does not answer at port {port}")


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def main(command: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and leave no server behind
    with tempfile.TemporaryDirectory() as folder, s3_server(Path(folder)) as endpoint:
        make_bucket(endpoint)
        environ = {**os.environ, **environment(endpoint), "SPOTWISE_TEST_S3": endpoint}
        return subprocess.run(command, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
