"""The rules of a stream, without any I/O: where points belong, which answers are repeated, what is sent."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import orjson

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.store.stream_records import KeptAnswers
from luna_serving.capabilities.kalman.streams.job import DEFAULT_OUTPUTS, SMOOTHED_BACK
from luna_serving.capabilities.kalman.streams.messages import Open
from luna_serving.capabilities.kalman.wire.series import MAX_SERIES_LENGTH
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem
from luna_store.quota.debits import Standing

# Close codes for applications (RFC 6455, section 7.4.2).
SUPERSEDED: Final = 4001
IDLE: Final = 4002
DELETED: Final = 4004


@dataclass(frozen=True, slots=True)
class StreamRules:
    """Bounds of a stream; see `luna_serving.settings.Settings` for units and reasons."""

    max_points: int
    replay_points: int
    replay_numbers: int
    max_lag: int

    def within(self, standing: Standing) -> "StreamRules":
        """The rules for an account that may send no longer series: a message of points is one."""
        return replace(self, max_points=min(self.max_points, standing.limits.get(MAX_SERIES_LENGTH, self.max_points)))


@dataclass(frozen=True, slots=True)
class StreamSetup:
    """How a stream was opened. Stored with it, so that other defaults of a later release change nothing."""

    model: ModelSpec
    outputs: tuple[str, ...]
    threshold: float
    lag: int

    @classmethod
    def of(cls, message: Open, model: ModelSpec, rules: StreamRules) -> "StreamSetup":
        """The setup that a message asks for.

        Raises:
            Problem: 422.
        """
        if message.lag > rules.max_lag:
            raise problems.invalid(FieldError("/lag", f"Must be at most {rules.max_lag} steps."))
        outputs = message.outputs
        if outputs is None:
            outputs = (*DEFAULT_OUTPUTS, *(SMOOTHED_BACK if message.lag else ()))
        for i, name in enumerate(outputs):
            if name in SMOOTHED_BACK and not message.lag:
                wrong = f'{name} needs "lag", the number of steps to look back: 1 or more.'
                raise problems.invalid(FieldError(f"/outputs/{i}", wrong))
        return cls(model, tuple(dict.fromkeys(outputs)), message.outlier_threshold, message.lag)

    def to_json(self) -> str:
        """As it is stored."""
        words: dict[str, Any] = {"kind": self.model.kind, "fields": orjson.Fragment(self.model.json)}
        words |= {"outputs": self.outputs, "threshold": self.threshold, "lag": self.lag}
        return orjson.dumps(words).decode()

    @classmethod
    def from_json(cls, text: str) -> "StreamSetup":
        """Read what `to_json` wrote."""
        words = orjson.loads(text)
        model = ModelSpec.of(words["kind"], words["fields"])
        return cls(model, tuple(words["outputs"]), words["threshold"], words["lag"])

    def replayed(self, rules: StreamRules) -> int:
        """How many points' answers are kept: fewer where a point's answer is large."""
        built = self.model.build()
        n, m = built.states, built.observed
        sizes = {"filtered_state": n, "smoothed_state": n, "filtered_state_cov": n * n, "smoothed_state_cov": n * n}
        sizes |= {"forecast_error_cov": m * m, "loglike_obs": 1}
        numbers = sum(sizes.get(name, m) for name in self.outputs) + m
        return max(1, min(rules.replay_points, rules.replay_numbers // numbers))


def place(first: int, count: int, taken: int) -> Literal["next", "again"]:
    """Where points belong in a stream that has taken `taken` of them.

    Raises:
        Problem: 409, out of step; names the number that is expected.
    """
    if first == taken + 1:
        return "next"
    if first + count - 1 <= taken:
        return "again"
    detail = (
        f"Points {first} to {first + count - 1} would leave a gap: {taken} were taken."
        if first > taken
        else f"Of points {first} to {first + count - 1}, those up to {taken} were taken already, the others not."
    )
    raise Problem(
        "out-of-step",
        409,
        "The points are out of step.",
        f"{detail} Send from {taken + 1} on.",
        extra={"expected": taken + 1},
    )


def too_many_points(points: int, limit: str, most: int) -> FieldError:
    """The refusal of a message with more points than its account may send in one series."""
    del limit  # a message is one series
    return FieldError("/values", f"Holds {points} points; this account may send {most} a message. Send several.")


def repeated(kept: Sequence[KeptAnswers], after: int, until: int) -> list[tuple[int, str]]:
    """The answers to points `after` + 1 to `until`, by messages: the first point's number, and a JSON list.

    Args:
        kept: all kept answers that hold a point beyond `after`, oldest first.
        after: the last point whose answer is not asked for.
        until: the last point whose answer is.

    Raises:
        Problem: 410, the oldest of them are not kept any more.
    """
    if after >= until:
        return []
    if not kept or kept[0].first > after + 1:
        oldest = kept[0].first if kept else until + 1
        raise Problem(
            "answers-gone",
            410,
            "The answers are no longer kept.",
            f"Those to points {after + 1} to {oldest - 1} are gone; the points are not, the state holds them all. "
            f"Resume with after={oldest - 1} or more.",
            extra={"oldest": oldest},
        )
    asked = [each for each in kept if each.first <= until]
    return [_cut(each, max(after + 1, each.first), min(until, each.last)) for each in asked]


def _cut(kept: KeptAnswers, first: int, last: int) -> tuple[int, str]:
    if (first, last) == (kept.first, kept.last):
        return first, kept.points
    return first, orjson.dumps(orjson.loads(kept.points)[first - kept.first : last - kept.first + 1]).decode()


def joined(parts: Sequence[tuple[int, str]]) -> tuple[int, str]:
    """Several answers as one."""
    return parts[0][0], "[" + ",".join(points[1:-1] for _, points in parts) + "]"


def opened(stream: uuid.UUID, sequence: int, setup: StreamSetup, rules: StreamRules, *, resumed: bool) -> str:
    """The answer to `open` and `resume`."""
    replay = setup.replayed(rules)
    words = {
        "type": "resumed" if resumed else "opened",
        "stream": str(stream),
        "sequence": sequence,
        "outputs": setup.outputs,
        "outlier_threshold": setup.threshold,
        "lag": setup.lag,
        "max_points": min(rules.max_points, replay),
        "replay_points": replay,
    }
    return orjson.dumps(words).decode()


def filtered(first: int, points: str) -> str:
    """The answer to points, the first of which is number `first`; `points` is a JSON list."""
    return f'{{"type":"filtered","sequence":{first},"points":{points}}}'


def error(problem: Problem, sequence: int | None = None) -> str:
    """A refusal; the members of the problem are those of the HTTP routes."""
    words: dict[str, Any] = {"type": "error"}
    if sequence is not None:
        words["sequence"] = sequence
    if "Retry-After" in problem.headers:
        words["retry_after"] = int(problem.headers["Retry-After"])
    return orjson.dumps(words | {"problem": orjson.Fragment(problem.body())}).decode()
