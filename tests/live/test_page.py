"""The messages of docs/live.md are those of the protocol."""

import json
import re
from pathlib import Path

from luna_serving.live.positions import Position
from luna_serving.live.protocol import read_message

PAGE = (Path(__file__).parents[2] / "docs" / "live.md").read_text()


def test_each_message_of_a_client_is_read() -> None:
    sent = re.findall(r"^> (\{.*\})$", PAGE, re.MULTILINE)
    assert [json.loads(each)["type"] for each in sent] == ["subscribe", "resume"]
    first, second = map(read_message, sent)
    assert first is not None
    assert (first.selectors, first.rate, first.alerts, first.epoch) == (('cpu{host="a"}', "mem"), 4.0, True, None)
    assert second is not None
    assert (second.epoch, second.seq, second.alerts) == ("EPOCH", 1 << 20, True)


def test_the_numbers_of_lunas_messages_are_places() -> None:
    answers = [json.loads(each) for each in re.findall(r"^< (\{.*\})$", PAGE, re.MULTILINE)]
    places = [Position.of(each["seq"]) for each in answers]
    assert [(each.alert, each.counter) for each in places] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 0), (2, 0), (2, 1)]
    assert [each["type"] for each in answers].count("alert") == 2
