"""Where webhooks may not go, and how deliveries are signed."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from alphagrad.api.settings import ApiSettings
from alphagrad.api.webhook_address import TargetError, is_public, parse_target
from alphagrad.api.webhook_signature import signed_headers
from tests.api.conftest import PATIENCE
from tests.api.serving import serving


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"url": "http://example.org"}, "url", "https://"),
        ({"url": "https://127.0.0.1/"}, "url", "refused"),
        ({"url": "https://localhost:8443/"}, "url", "refused"),
        ({"url": "https://[::1]/"}, "url", "refused"),
        ({"url": "https://[::ffff:127.0.0.1]/"}, "url", "refused"),
        ({"url": "https://[64:ff9b::7f00:1]/"}, "url", "refused"),
        ({"url": "https://10.1.2.3/"}, "url", "refused"),
        ({"url": "https://169.254.169.254/latest"}, "url", "refused"),
        ({"url": "https://0x7f.1/"}, "url", "refused"),
        ({"url": "https://2130706433/"}, "url", "refused"),
        ({"url": "https://a:b@8.8.8.8/"}, "url", "no password"),
        ({"url": "https://8.8.8.8#a"}, "url", "'#'"),
        ({"url": "https://8.8.8.8:x/"}, "url", "not a URL"),
        ({"url": "https://8.8.8.8:99999/"}, "url", "not a URL"),
        ({"url": "https://"}, "url", "HOST"),
        ({"url": "file:///etc/passwd"}, "url", "https://"),
        ({"url": "https://exa mple.org"}, "url", "ASCII"),
        ({"url": "https://nowhere.invalid/"}, "url", "no address"),
        ({"events": []}, "events", "at least 1"),
        ({"events": ["trials.*"]}, "events[0]", "study.submitted"),
        ({"study": "a b"}, "study", "match"),
        ({"secret": "mine"}, "secret", ""),
    ],
)
def test_what_is_no_webhook_is_refused(
    api_without_local: httpx.Client, changes: dict[str, Any], field: str, says: str
) -> None:
    good = {"url": "https://8.8.8.8/", "events": ["*"]}
    answer = api_without_local.post("/v1/webhooks", json=good | changes)
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["field"].startswith(field.partition("[")[0])
    assert says in error["message"], error


@pytest.fixture(scope="module")
def api_without_local(tmp_path_factory: pytest.TempPathFactory, key: str) -> Iterator[httpx.Client]:
    """A server that sends to public addresses alone."""
    settings = ApiSettings.model_validate(
        {"home": tmp_path_factory.mktemp("hooks"), "api_key": key, "webhooks": True}
    )
    bearer = {"Authorization": f"Bearer {key}"}
    with (
        serving(settings) as url,
        httpx.Client(base_url=url, headers=bearer, timeout=PATIENCE) as client,
    ):
        yield client


PRIVATE = """
    0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 127.9.9.9 169.254.169.254 172.16.0.1 172.31.255.255
    192.0.0.1 192.0.2.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1
    240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:0:127.0.0.1 ::ffff:10.0.0.1
    ::ffff:169.254.169.254 64:ff9b::a00:1 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1::
    fc00::1 fd12:3456::1 fe80::1 fec0::1 ff02::1 ff0e::1
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "::ffff:8.8.8.8", "2606:4700:4700::1111"])
def test_public_addresses_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_targets_keep_port_path_and_query() -> None:
    target = parse_target("https://example.org/a%20b?c=d/e", local=False)
    assert target.at(ipaddress.ip_address("8.8.8.8")) == "https://8.8.8.8:443/a%20b?c=d/e"
    assert target.authority == "example.org"
    six = parse_target("http://[2606:4700::1]:8080", local=True)
    assert (six.authority, six.path) == ("[2606:4700::1]:8080", "/")
    assert six.at(ipaddress.ip_address("::1")) == "http://[::1]:8080/"
    with pytest.raises(TargetError, match="2000 characters"):
        parse_target("https://example.org/" + "a" * 2000, local=False)


def test_the_signature_is_that_of_the_specifications_example() -> None:
    signed = signed_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=1614265330,
        body=b'{"test": 2432232314}',
    )
    good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signed["webhook-signature"] == good
