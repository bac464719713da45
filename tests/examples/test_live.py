"""`examples/live.html` against a server: no JavaScript runs here.

What the page sends is data of the page, so it is sent from here as the page sends it; what its script reads of messages
are names in its text, so they are looked for in real messages.
"""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.examples.running import EXAMPLES
from tests.live.memory import MemoryAlerts, MemoryShard
from tests.live.served import Served, publishing, served
from tests.store.stores import Caller, Store
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from luna_serving.capabilities.alerts.routes.schemas import ActiveAlert
from luna_serving.live.subscribers import POLICY_VIOLATION
from luna_store.accounts.api_keys import ApiKey

TEXT = (EXAMPLES / "live.html").read_text()


class Page(HTMLParser):
    """Elements, and the texts of scripts by id."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self.unlabelled: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(TEXT)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in {"input", "select"} and all(name != "label" for name, _ in self._open):
            self.unlabelled.append(str(dict(attrs)))
        if tag not in {"meta", "input", "br"}:
            self._open.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "script":
            name = str(self._open[-1][1]["id"])
            self.scripts[name] = self.scripts.get(name, "") + data


PAGE = Page()
PROTOCOL: dict[str, Any] = json.loads(PAGE.scripts["protocol"])


def read_of(variable: str, script: str = "state") -> set[str]:
    """The members of a variable that a script reads."""
    return set(re.findall(rf"\b{variable}\.(\w+)", PAGE.scripts[script]))


def as_the_page(luna: Served, caller: Caller) -> connect:
    version, key = PROTOCOL["subprotocols"]
    url = luna.url.removesuffix("/api/v1").replace("http", "ws", 1) + PROTOCOL["socket"]
    return connect(url, subprotocols=[Subprotocol(version), Subprotocol(key + caller.key.secret)])


async def heard(connection: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await connection.recv())
    return message


def test_the_page_needs_nothing_but_itself_and_its_fields_have_labels() -> None:
    assert not [attributes for _, attributes in PAGE.elements if attributes.keys() & {"src", "href", "srcset"}]
    assert not re.search(r"@import|url\(|import\s*\(|importScripts", TEXT)
    assert ("html", {"lang": "en"}) in PAGE.elements
    assert PAGE.unlabelled == []
    assert "prefers-color-scheme: dark" in TEXT
    assert "prefers-reduced-motion" in TEXT
    ids = {attributes["id"] for _, attributes in PAGE.elements if "id" in attributes}
    assert set(re.findall(r'byId\("(\w+)"\)', TEXT)) <= ids
    names = {attributes["name"] for tag, attributes in PAGE.elements if tag in {"input", "select"}}
    assert read_of("field", "page") <= names


async def test_luna_takes_what_the_page_sends_and_sends_what_the_page_reads(store: Store) -> None:
    caller, shard, alerts = await store.account(), MemoryShard(), MemoryAlerts(store.redis)
    async with publishing(store.redis) as publisher:
        shard.publisher = publisher
        async with served(store, shard, alerts) as luna:
            shard.write(caller.account_id, ("cpu", {"host": "a"}, 1_000, 0.5))
            async with as_the_page(luna, caller) as connection:
                assert connection.subprotocol == PROTOCOL["subprotocols"][0]
                await connection.send(json.dumps({**PROTOCOL["subscribe"], "selectors": ["cpu"], "rate": 10}))
                subscribed = await heard(connection)
                update = await heard(connection)
                await alerts.fire(caller.account_id)
                alert = await heard(connection)
                await connection.send('{"type": "subscribe", "selectors": ["cpu{"]}')
                error = await heard(connection)
            assert [each["type"] for each in (subscribed, update, alert, error)] == [
                "subscribed",
                "update",
                "alert",
                "error",
            ]
            await alerts.fire(caller.account_id)
            async with as_the_page(luna, caller) as connection:
                place = {"epoch": alert["epoch"], "seq": alert["seq"]}
                await connection.send(json.dumps({**PROTOCOL["resume"], **place, "selectors": ["cpu"], "rate": 10}))
                resumed = await heard(connection)
                missed = await heard(connection)
    assert (subscribed["resumed"], resumed["resumed"], missed["alert"]["number"]) == (False, True, 2)
    told = {*subscribed, *update, *alert, *error}
    assert read_of("message") - {"retry_after"} <= told
    assert read_of("message", "page") - {"retry_after"} <= told
    assert re.findall(r"message\.problem\.(\w+)", TEXT) == ["detail"]
    assert "detail" in error["problem"]
    series = {*update["series"][0]}
    of_alerts = {*ActiveAlert.model_fields}
    # `each` is a series or an alert, or what the page has made of one; `at` and `value` are points of a chart.
    made = {"at", "ended", "key", "points"}
    assert read_of("each") - made <= series | of_alerts | {"stale"}
    assert {"name", "labels", "timestamp", "value"} <= series


async def test_a_key_that_is_not_valid_is_refused_before_the_page_hears_anything(store: Store) -> None:
    caller = await store.account()
    caller.key = ApiKey.issue()
    async with served(store, MemoryShard(), MemoryAlerts()) as luna:
        with pytest.raises(InvalidStatus) as refused:
            async with as_the_page(luna, caller):
                pass
    assert refused.value.response.status_code == 401
    assert PROTOCOL["final"] == [POLICY_VIOLATION]
