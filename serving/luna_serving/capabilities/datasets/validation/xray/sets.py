"""Checks that need all images of a set: copies, leaks between parts of a split, labels, confounding."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from luna_serving.capabilities.datasets.validation.contract import XrayContract
from luna_serving.capabilities.datasets.validation.findings import Findings, Rule, of
from luna_serving.capabilities.datasets.validation.xray import rules
from luna_serving.capabilities.datasets.validation.xray.association import association
from luna_serving.capabilities.datasets.validation.xray.labels import Label
from luna_serving.capabilities.datasets.validation.xray.matching import check_classes, match
from luna_serving.capabilities.datasets.validation.xray.near_duplicates import near_groups
from luna_serving.capabilities.datasets.validation.xray.summary import Summary

# Folders that name a part of a split where the contract names no column.
_PARTS: Final = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing", "holdout"})
_LISTED_PATHS: Final = 20
# Below 20 images any table is thin. V above 0.3 is the "medium" of J. Cohen, Statistical Power Analysis (1988), 7.2.
MIN_IMAGES: Final = 20
MIN_STRENGTH: Final = 0.3
MAX_P_VALUE: Final = 0.001
# One code for nearly all images names no patients.
_SHARED_CODE: Final = 0.5


@dataclass(frozen=True, slots=True)
class SetSummary:
    """What the report says of a set."""

    images: int
    formats: Mapping[str, int]
    photometric: Mapping[str, int]
    sizes: Mapping[str, int]
    """Images by rows x columns, the most frequent first."""
    patients: int
    parts: Mapping[str, int]
    classes: Mapping[str, int]
    confounders: Mapping[str, float] = field(default_factory=dict)
    """Bias-corrected Cramér's V between the label and each property of the acquisition."""
    confounded: Sequence[str] = ()
    """Properties of which that is strong and no chance: those of the findings."""
    without_patient: int = 0
    """Images whose patient is not known; all, where one code is that of most images."""


def check_set(
    summaries: Sequence[Summary], labels: Sequence[Label] | None, contract: XrayContract, findings: Findings
) -> SetSummary:
    """Check a set.

    Args:
        summaries: of all images.
        labels: rows of the labels file; None if there is none, or it could not be read.
        contract: the set's.
        findings: where findings go.
    """
    if not summaries:
        findings.add(of(rules.NO_IMAGES, "The set has no image that can be read."))
    matched: Mapping[str, Label] = {}
    classes: Counter[str] = Counter()
    if contract.labels is not None and labels is None:
        message = "The contract names a labels file; it is missing or has no rows that can be read."
        findings.add(of(rules.NO_LABELS, message, path=contract.labels.path))
    elif contract.labels is not None and labels is not None:
        matched = match([s.name for s in summaries], labels, contract.labels, findings)
        classes = check_classes(matched, contract.labels, findings)
    parts = {s.name: part for s in summaries if (part := _part(s.name, matched)) is not None}
    _check_copies(summaries, matched, parts, findings)
    patients, without_patient = _check_patients(summaries, matched, parts, findings)
    strengths, confounded = _check_confounders(summaries, matched, findings)
    photometric = Counter(s.photometric for s in summaries if s.photometric)
    if len(photometric) > 1:
        names = " and ".join(f"{count} {name}" for name, count in sorted(photometric.items()))
        findings.add(of(rules.MIXED_SCALES, f"The set has {names}."))
    return SetSummary(
        images=len(summaries),
        formats=dict(Counter(s.format for s in summaries)),
        photometric=dict(photometric),
        sizes=dict(Counter(f"{s.rows}x{s.columns}" for s in summaries if s.rows).most_common(_LISTED_PATHS)),
        patients=patients,
        parts=dict(Counter(parts.values())),
        classes=dict(classes.most_common(100)) if len(classes) <= 100 else {},
        confounders=strengths,
        confounded=confounded,
        without_patient=without_patient,
    )


def _part(name: str, labels: Mapping[str, Label]) -> str | None:
    label = labels.get(name)
    if label is not None and label.split is not None:
        return label.split
    return next((f for folder in PurePosixPath(name).parts[:-1] if (f := folder.casefold()) in _PARTS), None)


def _groups(summaries: Iterable[Summary], key: Callable[[Summary], str | None]) -> list[list[Summary]]:
    grouped: dict[str, list[Summary]] = defaultdict(list)
    for summary in summaries:
        if (value := key(summary)) is not None:
            grouped[value].append(summary)
    return [group for group in grouped.values() if len(group) > 1]


def _firsts(summaries: Iterable[Summary], key: Callable[[Summary], str | None]) -> list[Summary]:
    """The first of those with equal keys."""
    firsts: dict[str | None, Summary] = {}
    for summary in summaries:
        firsts.setdefault(key(summary), summary)
    return list(firsts.values())


def _check_copies(
    summaries: Sequence[Summary], labels: Mapping[str, Label], parts: Mapping[str, str], findings: Findings
) -> None:
    def add(rule: Rule, message: str, names: Sequence[str]) -> None:
        findings.add(of(rule, message, paths=tuple(names[:_LISTED_PATHS]), count=len(names) - 1))

    # Copies byte by byte are reported for sets of every type.
    firsts = _firsts(summaries, lambda s: s.digest)
    for group in _groups(firsts, lambda s: s.instance):
        add(rules.SAME_INSTANCE, f"{len(group)} different files share a SOP Instance UID.", [s.name for s in group])
    for group in _groups(firsts, lambda s: s.pixels.pixel_hash):
        add(rules.SAME_PIXELS, f"{len(group)} files have the same pixels.", [s.name for s in group])
    for group in _groups(summaries, lambda s: s.pixels.pixel_hash or s.digest):
        names = [s.name for s in group]
        if len({label.label for n in names if (label := labels.get(n)) is not None}) > 1:
            add(rules.CONTRADICTION, f"{len(group)} files with the same pixels have different labels.", names)
        if len(within := {parts[n] for n in names if n in parts}) > 1:
            add(rules.IMAGE_LEAK, f"The same pixels are in {len(within)} parts of the split.", names)
    images = [s for s in _firsts(summaries, lambda s: s.pixels.pixel_hash) if s.pixels.thumbnail]
    for near in near_groups([s.pixels.gradient_hash or 0 for s in images], [s.pixels.thumbnail or "" for s in images]):
        names = [images[i].name for i in (near.first, *near.copies)]
        message = f"{len(names)} images are {'negatives of each other' if near.inverted else 'nearly the same'}"
        crossing = " and are in several parts of the split" if len({parts.get(n) for n in names}) > 1 else ""
        add(rules.INVERTED_COPY if near.inverted else rules.NEAR_PIXELS, f"{message}{crossing}.", names)


def _check_patients(
    summaries: Sequence[Summary], labels: Mapping[str, Label], parts: Mapping[str, str], findings: Findings
) -> tuple[int, int]:
    """Report patients in several parts of the split; return the number of patients, and of images without one."""
    by_patient: dict[str, list[str]] = defaultdict(list)
    for summary in summaries:
        label = labels.get(summary.name)
        patient = summary.patient if label is None or label.patient is None else label.patient
        if patient is not None:
            by_patient[patient].append(summary.name)
    unknown = len(summaries) - sum(map(len, by_patient.values()))
    shared = [p for p, names in by_patient.items() if len(names) > max(_SHARED_CODE * len(summaries), MIN_IMAGES)]
    if unknown or shared:
        message = f"{unknown} of {len(summaries)} images name no patient"
        findings.add(of(rules.NO_PATIENTS, f"{message}{'; one code is that of most images' if shared else ''}."))
    for patient, names in by_patient.items():
        within = {parts[n] for n in names if n in parts}
        if len(within) > 1 and patient not in shared:
            message = f"{len(names)} images of one patient (hash {patient}) are in {len(within)} parts of the split."
            findings.add(of(rules.PATIENT_LEAK, message, paths=tuple(names[:_LISTED_PATHS]), count=len(names)))
    return len(by_patient), len(summaries) if shared else unknown


def _check_confounders(
    summaries: Sequence[Summary], labels: Mapping[str, Label], findings: Findings
) -> tuple[dict[str, float], list[str]]:
    """Report acquisitions that tell the class; return the strength of each property, and those that are reported."""
    labelled = [s for s in summaries if s.name in labels]
    if len(labelled) < MIN_IMAGES:
        return {}, []
    classes = [labels[s.name].label for s in labelled]
    columns: dict[str, list[Any]] = {
        "format": [s.format for s in labelled],
        "size": [f"{s.rows}x{s.columns}" for s in labelled],
        "bits": [str(s.bits) for s in labelled],
        "photometric": [s.photometric for s in labelled],
    }
    for name in sorted({name for s in labelled for name in s.acquisition}):
        columns[name] = [s.acquisition.get(name, "") for s in labelled]
    strengths: dict[str, float] = {}
    confounded: list[str] = []
    for name, levels in columns.items():
        found = association(levels, classes)
        strengths[name] = round(found.strength, 3)
        if found.strength >= MIN_STRENGTH and found.p_value <= MAX_P_VALUE:
            message = (
                f"The label depends on the acquisition's {name}: bias-corrected Cramér's V is {found.strength:.2f} "
                f"over {len(labelled)} images and {len(set(levels))} levels."
            )
            findings.add(of(rules.CONFOUNDED, message, column=name))
            confounded.append(name)
    return strengths, confounded
