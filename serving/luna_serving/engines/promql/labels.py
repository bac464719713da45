"""Sets of labels as sorted tuples: hashable, and in Prometheus' order."""

from collections.abc import Collection, Iterable, Mapping

from luna_serving.engines.promql.series import NAME_LABEL
from luna_serving.engines.promql.syntax.tokens import go_quote

Labels = tuple[tuple[str, str], ...]

#: Labels that say what a metric is; they go where an operation makes something else of it (Prometheus, schema).
METADATA = frozenset((NAME_LABEL, "__type__", "__unit__"))


def sorted_labels(labels: Mapping[str, str]) -> Labels:
    """Labels in the order of their names; empty values left out."""
    return tuple(sorted(pair for pair in labels.items() if pair[1]))


def without_metadata(labels: Labels) -> Labels:
    """Labels without the name, type and unit of the metric."""
    return tuple(pair for pair in labels if pair[0] not in METADATA)


def keep(labels: Labels, names: Collection[str]) -> Labels:
    """Only the labels with these names."""
    return tuple(pair for pair in labels if pair[0] in names)


def drop(labels: Labels, names: Collection[str]) -> Labels:
    """All labels but those with these names."""
    return tuple(pair for pair in labels if pair[0] not in names)


def value_of(labels: Labels, name: str) -> str:
    """The value of a label; empty if there is none."""
    return next((value for label, value in labels if label == name), "")


def replaced(labels: Labels, changes: Iterable[tuple[str, str]]) -> Labels:
    """Labels with values set; an empty value removes a label."""
    table = dict(labels)
    table.update(changes)
    return sorted_labels(table)


def shown(labels: Labels) -> str:
    """As Prometheus prints a set of labels."""
    return "{" + ", ".join(f"{name}={go_quote(value)}" for name, value in labels) + "}"
