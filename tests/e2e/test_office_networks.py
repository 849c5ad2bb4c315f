"""Networks of offices: a proxy in between, and certificates of a private authority."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.roads import HOSTS, Proxy, office

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.lab import Lab

PLACES = ("RECCLI_TWILIO__API_BASE", "RECCLI_AIRTABLE__ENDPOINT_URL", "RECCLI_S3__ENDPOINT_URL")
ADDRESSES = dict(zip(PLACES, (f"https://{host}" for host in HOSTS), strict=True))


def services(lab: Lab) -> tuple[int, int, int]:
    twilio, airtable, s3 = (
        urlsplit(url).port or 0
        for url in (lab.sandbox.twilio.url, lab.sandbox.airtable.url, lab.tap.url)
    )
    return twilio, airtable, s3


@pytest.fixture
def proxy(lab: Lab, tmp_path: Path) -> Iterator[Proxy]:
    lab.sandbox.twilio.media_separate_origin = False
    with office(tmp_path, services(lab)) as found:
        yield found
    lab.sandbox.twilio.media_separate_origin = True


@pytest.fixture
def authority(tmp_path: Path) -> str:
    return str(tmp_path / "authority.pem")


@pytest.mark.parametrize(
    ("proxied", "trusted"),
    [
        ("HTTPS_PROXY", "SSL_CERT_FILE"),
        ("https_proxy", "REQUESTS_CA_BUNDLE"),
        ("ALL_PROXY", "AWS_CA_BUNDLE"),
        ("all_proxy", "CURL_CA_BUNDLE"),
    ],
)
def test_every_service_is_reached_through_the_proxy_and_trusts_the_authority(
    lab: Lab, proxy: Proxy, authority: str, proxied: str, trusted: str
) -> None:
    proxy.login = "user:proxy-password"
    row, mine = lab.call()
    names = {proxied: proxy.url, trusted: authority, **ADDRESSES}
    told = lab.json("process", "-v", **names)
    assert (told.code, told.doc["errors"], lab.holds(row, mine)) == (0, [], "s3")
    assert {f"CONNECT {host}:443" for host in HOSTS} == set(proxy.asked)
    assert "proxy-password" not in told.stdout + told.stderr
    told = lab.json("purge-twilio", "--retention", "0", **names)
    assert (told.code, lab.deleted()) == (0, {mine.sid})


@pytest.mark.parametrize(
    "exempt", ["localhost,127.0.0.1", "127.0.0.0/8", "*"], ids=["name", "network", "all"]
)
def test_hosts_that_need_no_proxy_are_asked_directly(lab: Lab, exempt: str) -> None:
    row, mine = lab.call()
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    told = lab.json("process", NO_PROXY=exempt, **nowhere)
    assert (told.code, lab.holds(row, mine)) == (0, "s3")


def test_no_login_of_a_netrc_is_used(lab: Lab) -> None:
    (lab.home / ".netrc").write_text("default login somebody password else\n")
    (lab.home / ".netrc").chmod(0o600)
    row, mine = lab.call()
    assert (lab.json("process").code, lab.holds(row, mine)) == (0, "s3")


@pytest.mark.parametrize("service", range(3))
def test_a_certificate_that_is_not_trusted_is_told_as_that(
    lab: Lab, proxy: Proxy, service: int
) -> None:
    lab.call()
    name, host = PLACES[service], HOSTS[service]
    through: dict[str, Any] = {"HTTPS_PROXY": proxy.url, name: f"https://{host}"}
    told = lab.json("process", **through)
    assert (told.code, told.error_codes) == (2, {"certificate_not_trusted"})
    assert f"the certificate of {host} is not trusted" in told.stdout
    assert "SSL_CERT_FILE" in told.doc["errors"][0]["hint"]
    assert not any(lab.link(row) for row in lab.sandbox.airtable.rows.values())


def test_a_certificate_out_of_date_is_told_as_that(
    lab: Lab, tmp_path: Path, authority: str
) -> None:
    lab.call()
    with office(tmp_path, services(lab), days=-2) as proxy:
        names = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": authority}
        told = lab.json("process", **names, **{PLACES[0]: ADDRESSES[PLACES[0]]})
    assert (told.code, "certificate_expired" in told.error_codes) == (5, True)
    assert "this machine's clock" in told.stdout


@pytest.mark.parametrize(
    ("status", "code", "exit_code"), [(407, "proxy_refused", 4), (502, "proxy_failed", 5)]
)
@pytest.mark.parametrize("service", range(3))
def test_what_the_proxy_refuses_is_told_as_the_proxys(
    lab: Lab, proxy: Proxy, service: int, status: int, code: str, exit_code: int
) -> None:
    lab.call()
    proxy.status, proxy.login = status, "user:proxy-password"
    through: dict[str, Any] = {
        "HTTPS_PROXY": proxy.url,
        PLACES[service]: f"https://{HOSTS[service]}",
    }
    told = lab.json("process", **through)
    assert told.code == exit_code
    assert code in told.error_codes
    assert f"answered {status}" in told.stdout
    assert "proxy-password" not in told.stdout + told.stderr


@pytest.mark.parametrize("service", range(3))
def test_a_proxy_that_is_not_there_is_told_as_that(lab: Lab, service: int) -> None:
    lab.call()
    through: dict[str, Any] = {
        "HTTPS_PROXY": "http://127.0.0.1:9",
        PLACES[service]: f"https://{HOSTS[service]}",
    }
    told = lab.json("process", **through)
    assert (told.code, "HTTPS_PROXY" in told.stdout) == (5, True)
    assert "the proxy on the way to" in told.stdout
    assert "does not answer" in told.stdout


def test_a_proxy_of_another_kind_and_a_bundle_that_is_none_are_configuration(lab: Lab) -> None:
    told = lab.json("process", ALL_PROXY="socks5://u:proxy-password@127.0.0.1:9")
    assert (told.code, "socks5" in told.stdout) == (2, True)
    assert "proxy-password" not in told.stdout + told.stderr
    told = lab.json("process", REQUESTS_CA_BUNDLE="/nowhere/roots.pem")
    assert (told.code, "REQUESTS_CA_BUNDLE names /nowhere/roots.pem" in told.stdout) == (2, True)
