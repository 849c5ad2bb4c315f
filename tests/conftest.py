"""What holds for every test: no network, no secrets, no home, the same choices every time in CI.

pytest-socket guards `socket.connect` while a test runs. The audit hook below has no such gaps:
it also sees name look-ups, datagrams, `connect_ex`, imports, fixtures and threads left behind.
"""

import ipaddress
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Hypothesis: no deadlines on a busy machine, and in CI the same examples for the same code.
settings.register_profile("reccli", deadline=None, derandomize="CI" in os.environ)
settings.register_profile("exhaustive", deadline=None, derandomize=False, max_examples=2_000)
settings.load_profile("reccli")

LOOKUPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
SENDS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
OURS = ("AIRTABLE_", "AWS_", "RECCLI_", "S3_", "TWILIO_")
PROXIES = {"all_proxy", "http_proxy", "https_proxy"}


class NetworkBlockedError(RuntimeError):
    """A test tried to services another machine."""


def is_local(host: object) -> bool:
    """Tell whether HOST is this machine: a wildcard, localhost or a loopback address."""
    if isinstance(host, bytes):
        host = host.decode()
    if host is None or host in {"", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(str(host))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def block_network(event: str, args: tuple[object, ...]) -> None:
    """Refuse what would leave this machine (an audit hook: it holds until the process ends)."""
    if event in LOOKUPS:
        host = args[0]
    elif event in SENDS and isinstance(args[1], tuple):  # a Unix socket's address is no tuple
        host = args[1][0]
    else:
        return
    if not is_local(host):
        raise NetworkBlockedError(f"{event} to {host!r}: tests services this machine only")


sys.addaudithook(block_network)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give one path after the other where nothing is; a `tmp_path` for each would be dear."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def bare_environment(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a home of its own, and none of the developer's settings or credentials."""
    for name in os.environ:
        if name.startswith(OURS) or name.lower() in PROXIES or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)
    home = next(homes)
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.delenv(f"XDG_{kind}_HOME", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # boto3 asks no metadata service
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
