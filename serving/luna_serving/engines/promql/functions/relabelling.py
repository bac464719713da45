"""Functions of labels: `label_replace`, `label_join`, and the labels of `absent`."""

from collections.abc import Callable, Sequence
from typing import Final

from luna_serving.engines.promql.errors import EvaluationError
from luna_serving.engines.promql.labels import Labels, replaced, value_of
from luna_serving.engines.promql.matchers import Matcher, MatchOperator
from luna_serving.engines.promql.regex import RegexError, TooLongError, compiled, expand
from luna_serving.engines.promql.series import NAME_LABEL

#: Characters of a value that is made here, twice what ingest takes. Nested calls would multiply a value otherwise.
MOST_VALUE: Final = 4_096


def replacement_of(target: str, template: str, source: str, pattern: str) -> Callable[[Labels], Labels]:
    """Sets `target` from the template if the pattern matches the whole value of `source`.

    Raises:
        EvaluationError: no regular expression, no label name.
    """
    try:
        expression = compiled(pattern)
    except RegexError:
        raise EvaluationError(f"invalid regular expression in label_replace(): {pattern}") from None
    if not target:
        raise EvaluationError(f"invalid destination label name in label_replace(): {target}")

    def relabel(labels: Labels) -> Labels:
        groups = expression.groups(value_of(labels, source))
        if groups is None:
            return labels
        try:
            value = expand(template, groups, expression.names, MOST_VALUE)
        except TooLongError:
            raise _too_long("label_replace", target) from None
        return replaced(labels, ((target, value),))

    return relabel


def join_of(target: str, separator: str, sources: Sequence[str]) -> Callable[[Labels], Labels]:
    """Sets `target` to the values of the sources, joined.

    Raises:
        EvaluationError: no label name.
    """
    for source in sources:
        if not source:
            raise EvaluationError(f"invalid source label name in label_join(): {source}")
    if not target:
        raise EvaluationError(f"invalid destination label name in label_join(): {target}")

    def relabel(labels: Labels) -> Labels:
        values = [value_of(labels, one) for one in sources]
        if sum(map(len, values)) + len(separator) * (len(values) - 1) > MOST_VALUE:
            raise _too_long("label_join", target)
        return replaced(labels, ((target, separator.join(values)),))

    return relabel


def _too_long(function: str, target: str) -> EvaluationError:
    wrong = f"the value of the label {target!r} in {function}() would have more than {MOST_VALUE} characters"
    return EvaluationError(wrong)


def of_absent(matchers: Sequence[Matcher]) -> Labels:
    """The labels that `absent` gives: those that an equality matcher determines.

    As in Prometheus, a second matcher of a label removes it.
    """
    table: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in matchers:
        if matcher.name == NAME_LABEL:
            continue
        if matcher.operator is MatchOperator.EQUAL and matcher.name not in seen:
            table[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            table.pop(matcher.name, None)
    return replaced((), table.items())
