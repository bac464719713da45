"""The variables that the page names reach the settings."""

import pytest
from pydantic import ValidationError

from luna_serving.app import CAPABILITIES
from luna_serving.capabilities.alerts.capability import ALERTS
from luna_serving.capabilities.alerts.parts import telling_of
from luna_serving.settings import read_settings

GROUPS = {each.name: each.settings for each in CAPABILITIES}


def test_the_variables_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNA_ALERTMANAGER_URL", "http://a:9093/, https://b/prefix")
    monkeypatch.setenv("LUNA_WEBHOOK_ALLOW", "10.0.0.0/8,127.0.0.0/8")
    monkeypatch.setenv("LUNA_WEBHOOKS_ALLOW_NETWORKS", "127.0.0.0/8,::1/128")
    monkeypatch.setenv("LUNA_ALERTS_REPEAT_S", "60")
    read = read_settings(GROUPS)
    assert read.platform.alertmanager.url == ("http://a:9093", "https://b/prefix")
    assert read.platform.webhooks.allow_networks == ("127.0.0.0/8", "::1/128", "10.0.0.0/8")
    telling = telling_of(read.platform, read.capabilities[ALERTS.name])  # type: ignore[arg-type]
    assert (telling.repeat_ms, telling.announces) == (60_000, True)


@pytest.mark.parametrize(
    ("name", "value"), [("LUNA_ALERTMANAGER_URL", "alertmanager:9093"), ("LUNA_WEBHOOK_ALLOW", "ten")]
)
def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        read_settings(GROUPS)
