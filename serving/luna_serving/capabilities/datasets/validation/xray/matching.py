"""Matches rows of labels with images, and holds the classes against each other."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from luna_serving.capabilities.datasets.validation.contract import Labels
from luna_serving.capabilities.datasets.validation.findings import Findings, of
from luna_serving.capabilities.datasets.validation.xray import rules
from luna_serving.capabilities.datasets.validation.xray.labels import Label

# Of the largest class to the smallest.
MAX_IMBALANCE: Final = 20
# Images per class below which labels look like identifiers.
_MIN_PER_CLASS: Final = 1.5
_MIN_ROWS: Final = 10
# Class names are the owner's words, and are shown; identifiers are not.
_LONGEST_NAME: Final = 64


def match(names: Sequence[str], labels: Sequence[Label], contract: Labels, findings: Findings) -> dict[str, Label]:
    """Labels by the name of the image; what does not match becomes findings.

    A row names a file by its path in the set, by its path beside the labels file, by its name alone, or by its name
    without the extension, if only one file has it.
    """
    index = _index(names, PurePosixPath(contract.path).parent)
    found: dict[str, Label] = {}
    again: Counter[str] = Counter()
    for label in labels:
        name = index.get(label.file)
        if name is None:
            message = "The row names a file that is not an image of the set."
            findings.add(of(rules.UNKNOWN_FILE, message, path=contract.path, row=label.row))
        elif name in found:
            again[name] += 1
        else:
            found[name] = label
    for name, surplus in again.items():
        message = f"{surplus + 1} rows of the labels name the file."
        findings.add(of(rules.LABELLED_TWICE, message, path=name, count=surplus))
    for name in names:
        if name not in found:
            findings.add(of(rules.UNLABELLED, "No row of the labels names the file.", path=name))
    return {name: label for name, label in found.items() if label.label}


def _index(names: Sequence[str], folder: PurePosixPath) -> Mapping[str, str]:
    shortened: tuple[Callable[[PurePosixPath], str], ...] = (
        lambda path: str(path.relative_to(folder) if path.is_relative_to(folder) else path),
        lambda path: path.name,
        lambda path: str(path.with_suffix("")),
        lambda path: path.stem,
    )
    index = {name: name for name in names}
    for shorten in shortened:
        keyed = defaultdict(list)
        for name in names:
            keyed[shorten(PurePosixPath(name))].append(name)
        for short, full in keyed.items():
            if len(full) == 1:
                index.setdefault(short, full[0])
    return index


def check_classes(labels: Mapping[str, Label], contract: Labels, findings: Findings) -> Counter[str]:
    """Count the images of each class, and report what hinders training. Empty if labels look like identifiers."""
    counts = Counter(label.label for label in labels.values())
    if not counts:
        return counts
    if len(labels) >= _MIN_ROWS and len(labels) < _MIN_PER_CLASS * len(counts):
        message = f"{len(counts)} labels for {len(labels)} images."
        findings.add(of(rules.LIKE_IDENTIFIERS, message, path=contract.path, column=contract.label_column))
        return Counter()
    if len(counts) == 1:
        message = f"All {len(labels)} images have the same label."
        findings.add(of(rules.ONE_CLASS, message, path=contract.path, column=contract.label_column))
    for name, count in counts.items():
        if count == 1:
            findings.add(
                of(
                    rules.SINGLE_IMAGE,
                    "The class has one image.",
                    path=contract.path,
                    column=contract.label_column,
                    value=name[:_LONGEST_NAME],
                )
            )
    most, least = max(counts.values()), min(counts.values())
    if most > MAX_IMBALANCE * least:
        message = f"The largest of {len(counts)} classes has {most} images, the smallest {least}."
        findings.add(of(rules.IMBALANCE, message, path=contract.path, column=contract.label_column))
    return counts
