"""The messages of `/ws/metrics`: strict JSON in, JSON out. Server-sent events carry the same objects."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import Field

from luna_serving.live.hub import Wanted
from luna_serving.live.positions import LARGEST_SEQ
from luna_serving.live.selectors import LONGEST
from luna_serving.live.series import LiveSeries
from luna_serving.live.subscribers import DEFAULT_RATE, HIGHEST_RATE, LOWEST_RATE
from luna_serving.wire import problems
from luna_serving.wire.documents import SPARE_LISTS, read_object
from luna_serving.wire.forms import read_form
from luna_serving.wire.problems import FieldError, Problem
from luna_serving.wire.strict import StrictModel

MOST_SELECTORS: Final = 100
# Clients refuse larger messages by default: 1 MiB is usual.
UPDATE_CHARACTERS: Final = 250_000
PONG: Final = '{"type":"pong"}'
_PLACE: Final = re.compile(r"([A-Za-z0-9._-]{1,64}):(\d{1,16})", re.ASCII)

Rate = Annotated[float, Field(ge=LOWEST_RATE, le=HIGHEST_RATE)]
Selectors = Annotated[list[Annotated[str, Field(max_length=LONGEST)]], Field(max_length=MOST_SELECTORS)]


class SubscribeMessage(StrictModel):
    """Begins a subscription."""

    type: Literal["subscribe"]
    selectors: Selectors = Field(default_factory=list)
    rate: Rate = DEFAULT_RATE
    alerts: bool = True


class ResumeMessage(StrictModel):
    """Goes on with a subscription."""

    type: Literal["resume"]
    epoch: Annotated[str, Field(max_length=64)] | int
    seq: int = Field(ge=0, le=LARGEST_SEQ)
    selectors: Selectors = Field(default_factory=list)
    rate: Rate = DEFAULT_RATE
    alerts: bool = True


class PingMessage(StrictModel):
    """Asks for a `pong`."""

    type: Literal["ping"]


def read_message(message: str | bytes) -> Wanted | None:
    """A subscription, or None for a ping.

    Raises:
        Problem: 422.
    """
    if isinstance(message, bytes):
        raise problems.invalid(FieldError("", "Must be a text message with a JSON object, not a binary one."))
    document = read_object(message.encode(), "selectors", SPARE_LISTS)
    match document.get("type"):
        case "subscribe":
            form = read_form(SubscribeMessage, document)
            return wanted(form.selectors, form.rate, alerts=form.alerts)
        case "resume":
            resume = read_form(ResumeMessage, document)
            place = (str(resume.epoch), resume.seq)
            return wanted(resume.selectors, resume.rate, alerts=resume.alerts, place=place)
        case "ping":
            read_form(PingMessage, document)
            return None
        case _:
            raise problems.invalid(FieldError("/type", 'Must be "subscribe", "resume" or "ping".'))


def wanted(
    selectors: Sequence[str],
    rate: float,
    *,
    alerts: bool,
    place: tuple[str, int] | None = None,
    pointer: str = "/selectors",
) -> Wanted:
    """A subscription.

    Raises:
        Problem: 422, it asks for nothing.
    """
    if not selectors and not alerts:
        raise problems.invalid(FieldError(pointer, 'Must have a selector, unless alerts are wanted: ["cpu"].'))
    epoch, seq = place if place is not None else (None, 0)
    return Wanted(tuple(selectors), rate, alerts, epoch, seq, pointer)


def read_place(text: str, pointer: str) -> tuple[str, int]:
    """The epoch and the number of an event's id.

    Raises:
        Problem: 422.
    """
    found = _PLACE.fullmatch(text.strip())
    if found is None or int(found[2]) > LARGEST_SEQ:
        wrong = "Must be the id of an event, <epoch>:<seq>. Leave it out to begin."
        raise problems.invalid(FieldError(pointer, wrong))
    return found[1], int(found[2])


def read_rate(text: str, pointer: str) -> float:
    """Updates per second.

    Raises:
        Problem: 422.
    """
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise problems.invalid(FieldError(pointer, f"Must be a number from {LOWEST_RATE:g} to {HIGHEST_RATE:g}."))
    return rate


def subscribed(epoch: str, seq: int, *, resumed: bool) -> str:
    """The answer to `subscribe` and `resume`."""
    return _dumped({"type": "subscribed", "epoch": epoch, "seq": seq, "resumed": resumed})


def updates(changed: Sequence[LiveSeries]) -> Iterator[str]:
    """Changed series as JSON lists, of which each fits in a message."""
    texts: list[str] = []
    characters = 0
    for series in changed:
        text = series.text
        if texts and characters + len(text) > UPDATE_CHARACTERS:
            yield f"[{','.join(texts)}]"
            texts, characters = [], 0
        texts.append(text)
        characters += len(text)
    if texts:
        yield f"[{','.join(texts)}]"


def update(epoch: str, seq: int, series: str) -> str:
    """A message with changed series, a JSON list."""
    return f'{{"type":"update","epoch":"{epoch}","seq":{seq},"series":{series}}}'


def alert(epoch: str, seq: int, alert_: str) -> str:
    """A message with an alert, a JSON object."""
    return f'{{"type":"alert","epoch":"{epoch}","seq":{seq},"alert":{alert_}}}'


def error(problem: Problem) -> str:
    """A refusal, with the members of a problem as on HTTP routes."""
    words: dict[str, Any] = {"type": "error"}
    if "Retry-After" in problem.headers:
        words["retry_after"] = int(problem.headers["Retry-After"])
    return _dumped(words | {"problem": orjson.Fragment(problem.body())})


def _dumped(words: dict[str, Any]) -> str:
    return orjson.dumps(words).decode()
