"""Random queries, answered by our engine and by Prometheus."""

import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

from tests.engines.promql.evaluating import Found, instant, ranged, series_of
from tests.engines.promql.generating import Generator
from tests.engines.promql.prometheus import Oracle
from tests.engines.promql.promqltest import Grid, Labels, Samples, evaluations, labels_of

from luna_serving.engines.promql.errors import PromqlError
from luna_serving.engines.promql.results import InstantResult

#: Relative: our sums run in another order than Prometheus'.
TOLERANCE = 1e-9

#: Queries that are not compared, as Prometheus 3.14 answers them with nothing: a function of a subquery with `@` whose
#: other argument varies with the step, and `timestamp` of a selector with `@` and `offset` (it reads samples around the
#: time of `@` but loads those around the offset).
FAULTS_OF_PROMETHEUS = re.compile(
    r"(?=.*(?:predict_linear|quantile_over_time))(?=.*:\w*\](?: offset \S+)? @)"
    r"|(?=.*timestamp)(?=.*(?:@ \S+ offset|offset \S+ @))"
)
#: The remainder of a large number, and its text, depend on its last digit.
UNSTABLE = re.compile(r"(?=.*(?:%|count_values))(?=.*(?:\^|exp|sinh|cosh))")
#: Not given by Prometheus where `@` makes the argument the same at all steps.
_SORTED = "sort is ineffective for range queries"
_SUBQUERY = re.compile(r"\[\w+:\w*\]")


def differences(oracle: Oracle, seed: int, queries: int) -> list[str]:
    """What our engine answers otherwise than Prometheus: the query, then both answers."""
    generator = Generator(seed)
    load = generator.load()
    asked = list(itertools.islice(filter(_compared, (generator.query() for _ in itertools.count())), queries))
    [answers] = oracle.answers([{"Load": load, "Queries": asked}])
    [loaded] = evaluations(f"{load}\neval instant at 0 0\n  0\n", f"seed {seed}")
    found = (difference(query, answer, loaded.data) for query, answer in zip(asked, answers, strict=True))
    return [f"seed {seed}: {text}" for text in found if text]


def _compared(query: Mapping[str, Any]) -> bool:
    return not (FAULTS_OF_PROMETHEUS.match(query["Expr"]) or UNSTABLE.match(query["Expr"]))


def difference(query: Mapping[str, Any], answer: Mapping[str, Any], data: Mapping[Labels, Samples]) -> str:
    """The difference between our answer and the oracle's, or an empty text."""
    what = f"{query['Expr']} from {query['Start']} to {query['End']} step {query['Step']}"
    result: InstantResult
    try:
        if query["Step"]:
            result = ranged(query["Expr"], data, Grid(query["Start"], query["End"], query["Step"]))
        else:
            result = instant(query["Expr"], data, query["Start"])
    except PromqlError as error:
        if _head(str(error)) == _head(answer["Error"]) or (query["Step"] and _matching(str(error), answer["Error"])):
            return ""
        return f"{what}\n  Prometheus: {answer['Error'] or answer['Series']}\n  Luna: error {error}"
    if answer["Error"] or type(result).__name__.lower() != answer["Type"]:
        return f"{what}\n  Prometheus: {answer['Type']} {answer['Error']}\n  Luna: {result}"
    ours = series_of(result)
    theirs = [
        (labels_of(series["Labels"] or {}), {point["T"]: float(point["V"]) for point in series["Points"] or []})
        for series in answer["Series"] or []
    ]
    if not _same(dict(ours), dict(theirs)) and not (_ties(query["Expr"]) and _same_values(ours, theirs)):
        return f"{what}\n  Prometheus: {theirs}\n  Luna: {ours}"
    if (
        query["Expr"].startswith(("sort", "topk (", "bottomk ("))
        and not query["Step"]
        and not _same_order(ours, theirs)
    ):
        return f"{what}\n  order of Prometheus: {theirs}\n  order of Luna: {ours}"
    notes = [
        [_note(query["Expr"], note) for note in sorted(both) if not (" @ " in query["Expr"] and _SORTED in note)]
        for both in ([*(answer["Warnings"] or []), *(answer["Infos"] or [])], [*result.warnings, *result.infos])
    ]
    return "" if notes[0] == notes[1] else f"{what}\n  notes of Prometheus: {notes[0]}\n  notes of Luna: {notes[1]}"


def _note(expression: str, note: str) -> str:
    """What is compared of a note.

    Prometheus loses the position of a subquery, and counts samples again each time that it merges two notes.
    """
    note = re.sub(r"over \d+ samples", "over some samples", note)
    return re.sub(r" \(\d+:\d+\)$", "", note) if _SUBQUERY.search(expression) else note


def _head(message: str) -> str:
    """The part of an error before the labels that it names: which of several faults is met first is not fixed."""
    return message.split("{", 1)[0].split("[", 1)[0].strip()


def _matching(*messages: str) -> bool:
    """Whether all are faults of vector matching: of the steps of a range, not the same one need be met first."""
    return all(re.search("matching must be explicit|many-to-many|must ensure unique", message) for message in messages)


def close(left: float, right: float) -> bool:
    """Whether two values are the same but for rounding."""
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return math.isclose(left, right, rel_tol=TOLERANCE, abs_tol=1e-12)


def _same(ours: Mapping[Labels, Samples], theirs: Mapping[Labels, Samples]) -> bool:
    return ours.keys() == theirs.keys() and all(
        samples.keys() == theirs[labels].keys() and all(close(value, theirs[labels][t]) for t, value in samples.items())
        for labels, samples in ours.items()
    )


def _ties(expression: str) -> bool:
    return expression.startswith(("topk", "bottomk"))


def _same_values(ours: Found, theirs: Found) -> bool:
    """Whether both chose the same values, of series that may be tied."""
    by_time = [
        sorted(((t, value) for _, samples in found for t, value in samples.items()), key=_by_time_and_value)
        for found in (ours, theirs)
    ]
    return len(by_time[0]) == len(by_time[1]) and all(
        left[0] == right[0] and close(left[1], right[1]) for left, right in zip(*by_time, strict=True)
    )


def _by_time_and_value(sample: tuple[int, float]) -> tuple[int, bool, float]:
    """A key that orders NaN too."""
    time, value = sample
    return time, math.isnan(value), 0.0 if math.isnan(value) else value


def _same_order(ours: Found, theirs: Found) -> bool:
    values = [[value for _, samples in found for value in samples.values()] for found in (ours, theirs)]
    return all(close(left, right) for left, right in zip(*values, strict=True))
