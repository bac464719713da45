"""URLs of webhooks: what is refused when a job is created, whatever it is dressed as."""

from ipaddress import ip_address, ip_network

import pytest

from luna_serving.settings import PlatformSettings
from luna_serving.webhooks.addresses import Allowed, UrlRefused, check_url

PUBLIC = Allowed()


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook",
        "https://example.com:8443/hook?x=1",
        "https://hooks.example.co.uk.",
        "https://198.41.0.4/hook",
        "https://[2606:4700::1111]/hook",
        "https://xn--bcher-kva.example/a%20b",
    ],
)
def test_public_https_urls_are_accepted(url: str) -> None:
    check_url(url, PUBLIC)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com/hook", "https://"),
        ("ftp://example.com/hook", "https://"),
        ("//example.com/hook", "https://"),
        ("hook", "https://"),
        ("https://", "name a host"),
        ("https:///hook", "name a host"),
        ("https://exa mple.com/", "without spaces"),
        ("https://example.com/\r\nX: y", "without spaces"),
        ("https://example.com\\@127.0.0.1/", "without spaces"),
        ("https://bücher.example/", "ASCII"),
        ("https://user:password@example.com/", "user or a password"),
        ("https://example.com@127.0.0.1/", "user or a password"),
        ("https://example.com/#fragment", "fragment"),
        ("https://example.com:22/", "port 443"),
        ("https://example.com:6a/", "a URL such as"),
        ("https://example.com:99999/", "a URL such as"),
        ("https://[::1/", "a URL such as"),
        ("https://-a.example/", "name a host"),
        ("https://" + "a" * 64 + ".example/", "name a host"),
        ("https://example.com/" + "a" * 2048, "2048 characters"),
    ],
)
def test_urls_that_are_no_receivers_are_refused_with_the_cure(url: str, words: str) -> None:
    with pytest.raises(UrlRefused, match=words):
        check_url(url, PUBLIC)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:53aa:64c:0:0:80ff:fffe]",
        "localhost",
        "api.localhost.",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
    ],
)
def test_hosts_of_the_inside_are_refused_however_they_are_written(host: str) -> None:
    with pytest.raises(UrlRefused):
        check_url(f"https://{host}/hook", PUBLIC)


def test_an_installation_may_allow_networks_and_http() -> None:
    local = Allowed(http=True, networks=(ip_network("127.0.0.0/8"), ip_network("10.20.0.0/16")))
    for url in (
        "http://127.0.0.1:9000/",
        "http://localhost:9000/",
        "https://10.20.3.4/",
        "https://[::ffff:10.20.3.4]/",
    ):
        check_url(url, local)
    with pytest.raises(UrlRefused):
        check_url("https://10.21.3.4/", local)
    assert local.refuses(ip_address("::1"))


def test_a_network_that_is_none_is_refused_by_the_settings() -> None:
    settings = PlatformSettings(webhooks={"allow_networks": "127.0.0.0/8, ::1/128"}).webhooks
    assert settings.networks == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    with pytest.raises(ValueError, match=r"'10\.0\.0\.1/8' is not a network: write"):
        PlatformSettings(webhooks={"allow_networks": "10.0.0.1/8"})
