"""Scripts of PromQL evaluations: the part of the language of Prometheus' promqltest that our scripts use.

- `load <step>` is followed by series, one per line: `metric{label="value"} points`. The first point is at time 0.
- `clear` forgets all series.
- `eval instant at <time> <query>`, or `eval range from <start> to <end> step <step> <query>`, is followed by what it
  expects: a number; series with one point per step; `expect string <literal>`; `expect ordered`;
  `expect fail|warn|info|no_warn|no_info [regex: <expression>]`;
  `expect range vector from <start> to <end> step <step>` before the samples of a range selector.

An empty line ends a command; a line that starts with `#` is a comment. Points are numbers, `_` (none), `stale`,
`<first>+<increment>x<repeats>`, `<value>x<repeats>` and `_x<count>`.
"""

import ast
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from luna_serving.engines.promql.series import STALE

Labels = tuple[tuple[str, str], ...]
Samples = dict[int, float]

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}

_DURATION = re.compile(r"(\d+)(ms|[smhdw])")
_LABEL = re.compile(r"""\s*([A-Za-z_][\w:]*|"(?:[^"\\]|\\.)*")\s*(?:=\s*("(?:[^"\\]|\\.)*"))?\s*(,|})""")
_NUMBER = r"(?:[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|[Ii]nf|NaN))"
_REPEATED = re.compile(rf"({_NUMBER})(?:([-+])({_NUMBER}))?x(\d+)")
_INSTANT = re.compile(r"eval instant at (\S+) (.+)")
_RANGE = re.compile(r"eval range from (\S+) to (\S+) step (\S+) (.+)")
_RANGE_VECTOR = re.compile(r"expect range vector from (\S+) to (\S+) step (\S+)")
_NOTE = re.compile(r"expect (fail|warn|info|no_warn|no_info)(?: regex: *(.+))?")


@dataclass(frozen=True, slots=True)
class Grid:
    """Steps in milliseconds, both ends included."""

    start: int
    end: int
    step: int

    @property
    def times(self) -> range:
        return range(self.start, self.end + 1, self.step)


@dataclass(slots=True)
class Evaluation:
    """One `eval` and what it expects.

    Attributes:
        name: file and line.
        data: the series at that point of the script.
        query: text.
        at: of an instant query, milliseconds.
        grid: of a range query, or of the samples that an instant query of a range selector returns.
        number: the expected scalar.
        text: the expected string.
        series: expected samples per labels, in the order of the script.
        ordered: whether that order counts.
        notes: expressions per `fail`, `warn`, `info`; `no_warn` and `no_info` have an empty list.
    """

    name: str
    data: Mapping[Labels, Samples]
    query: str
    at: int | None = None
    grid: Grid | None = None
    number: float | None = None
    text: str | None = None
    series: dict[Labels, Samples] = field(default_factory=dict)
    ordered: bool = False
    notes: dict[str, list[str]] = field(default_factory=dict)


def evaluations(text: str, file: str) -> Iterator[Evaluation]:
    """The evaluations of a script, in order."""
    data: dict[Labels, Samples] = {}
    for number, command, lines in _commands(text):
        if command == "clear":
            data = {}
        elif command.startswith("load "):
            data = {labels: dict(samples) for labels, samples in data.items()}
            step = duration_ms(command.removeprefix("load "))
            for line in lines:
                labels, points = parse_series(line)
                samples = data.get(labels, {})
                samples |= {index * step: point for index, point in enumerate(points) if point is not None}
                data[labels] = dict(sorted(samples.items()))
        else:
            yield _evaluation(f"{file}:{number}", command, lines, data)


def _commands(text: str) -> Iterator[tuple[int, str, list[str]]]:
    block: list[str] = []
    first = 0
    for number, raw in enumerate([*text.splitlines(), ""], 1):
        line = raw.strip()
        if line and not line.startswith("#"):
            first = first if block else number
            block.append(line)
        elif block:
            yield first, block[0], block[1:]
            block = []


def _evaluation(name: str, command: str, lines: list[str], data: Mapping[Labels, Samples]) -> Evaluation:
    if instant := _INSTANT.fullmatch(command):
        evaluation = Evaluation(name, data, instant[2], at=duration_ms(instant[1]))
    elif ranged := _RANGE.fullmatch(command):
        start, end, step, query = ranged.groups()
        evaluation = Evaluation(name, data, query, grid=Grid(duration_ms(start), duration_ms(end), duration_ms(step)))
    else:
        raise ValueError(f"{name}: not a command: {command}")
    for line in lines:
        _expect(evaluation, line)
    return evaluation


def _expect(evaluation: Evaluation, line: str) -> None:
    if line == "expect ordered":
        evaluation.ordered = True
    elif line.startswith("expect string "):
        evaluation.text = unquoted(line.removeprefix("expect string "))
    elif found := _RANGE_VECTOR.fullmatch(line):
        evaluation.grid = Grid(*map(duration_ms, found.groups()))
        if evaluation.grid.end != evaluation.at:
            raise ValueError(f"{evaluation.name}: Prometheus evaluates at the end of the expected range")
    elif found := _NOTE.fullmatch(line):
        evaluation.notes.setdefault(found[1], []).append(found[2] or "")
    elif line.startswith("expect "):
        raise ValueError(f"{evaluation.name}: unknown expectation: {line}")
    elif re.fullmatch(_NUMBER, line):
        evaluation.number = float(line)
    else:
        labels, points = parse_series(line)
        times = evaluation.grid.times if evaluation.grid else [evaluation.at or 0]
        if len(points) > len(times) or labels in evaluation.series:
            raise ValueError(f"{evaluation.name}: too many points: {line}")
        evaluation.series[labels] = {t: p for t, p in zip(times, points, strict=False) if p is not None}


def duration_ms(text: str) -> int:
    """Milliseconds of `1h30m` or `0`.

    Raises:
        ValueError: not a duration.
    """
    if text == "0":
        return 0
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"not a duration: {text}")
    return sum(int(number) * UNITS_MS[unit] for number, unit in parts)


def parse_series(line: str) -> tuple[Labels, list[float | None]]:
    """Labels, `__name__` included, and points of `metric{label="value"} points`; None where there is no point."""
    name = re.match(r"[A-Za-z_:][\w:]*", line)
    labels = {"__name__": name[0]} if name else {}
    position = name.end() if name else 0
    if line[position : position + 1] == "{":
        position += 1
        ended = line[position] == "}"
        position += ended
        while not ended:
            found = _LABEL.match(line, position)
            if found is None:
                raise ValueError(f"not a series: {line}")
            key = unquoted(found[1]) if found[1].startswith('"') else found[1]
            labels[key if found[2] else "__name__"] = unquoted(found[2]) if found[2] else key
            position, ended = found.end(), found[3] == "}"
    return labels_of(labels), [point for word in line[position:].split() for point in _points(word)]


def labels_of(labels: Mapping[str, str]) -> Labels:
    """Labels that can be compared and hashed."""
    return tuple(sorted(labels.items()))


def unquoted(literal: str) -> str:
    """The text of a literal in double quotes or backquotes."""
    return literal[1:-1] if literal.startswith("`") else str(ast.literal_eval(literal))


def _points(word: str) -> list[float | None]:
    if word == "stale":
        return [STALE]
    if gap := re.fullmatch(r"_(?:x(\d+))?", word):
        return [None] * int(gap[1] or 1)
    if repeated := _REPEATED.fullmatch(word):
        value, increment = float(repeated[1]), float(f"{repeated[2] or ''}{repeated[3] or 0}")
        points: list[float | None] = []
        for _ in range(int(repeated[4]) + 1):
            points.append(value)
            value += increment
        return points
    return [float(word)]


def equal(expected: float, actual: float) -> bool:
    """Whether two values agree: NaN equals NaN, the rest to 1e-9 of the value."""
    if math.isnan(expected) or math.isnan(actual):
        return math.isnan(expected) and math.isnan(actual)
    return math.isclose(expected, actual, rel_tol=1e-9, abs_tol=1e-15)
