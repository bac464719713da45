"""What a set of X-ray images can be used for, and with which parameters: the end of its report. Pure.

Only valid sets are asked: nobody is identified in them, no patient is in two parts of a split, and every image has its
label. What is left is whether there is enough of it, and what a training run must be told.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

# Images of the rarest class: below, a share of the class in a test part is a coin toss.
_PER_CLASS: Final = 10
# Patients that five folds by patient need to have two or more in each.
_PATIENTS: Final = 10
_FOLDS: Final = 5


def xray_readiness(summary: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """One row per use: `use`, `ready`, `why`, `parameters`.

    Args:
        summary: of the set, `sets.SetSummary` as JSON.
    """
    return (_classification(summary), _split(summary), _batches(summary), _series())


def _row(use: str, why: str, parameters: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return {"use": use, "ready": parameters is not None, "why": why, "parameters": dict(parameters or {})}


def _classification(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    use, classes = "classification", summary["classes"]
    if len(classes) < 2:
        return _row(use, "No labels of 2 to 100 classes: name a labels file in the contract.", None)
    rarest = min(classes, key=lambda name: (classes[name], name))
    if classes[rarest] < _PER_CLASS:
        why = f"Class {rarest} has {classes[rarest]:,} images; each needs {_PER_CLASS}."
        return _row(use, why, None)
    if summary["confounded"]:
        why = f"A model would learn the acquisition: the label depends on {', '.join(summary['confounded'])}."
        return _row(use, why, None)
    images = sum(classes.values())
    weights = {name: round(images / (len(classes) * count), 4) for name, count in classes.items()}
    why = f"{len(classes)} classes; the rarest, {rarest}, has {classes[rarest]:,} images, and {_PER_CLASS} are enough."
    # The weights that scikit-learn calls balanced.
    return _row(use, why, {"classes": sorted(classes), "class_weights": weights})


def _split(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    use, parts, patients = "split", summary["parts"], summary["patients"]
    if unnamed := summary["without_patient"]:
        why = f"{unnamed:,} of {summary['images']:,} images name no patient: a split may part the images of one."
        return _row(use, why, None)
    if len(parts) > 1:
        why = f"The set names {len(parts)} parts, and no patient is in two of them."
        return _row(use, why, {"parts": dict(parts)})
    if patients < _PATIENTS:
        return _row(use, f"The set has {patients:,} patients; {_FOLDS} folds by patient need {_PATIENTS}.", None)
    why = f"The set names no parts; its {patients:,} patients are enough for {_FOLDS} folds by patient."
    return _row(use, why, {"group_by": "patient", "folds": _FOLDS})


def _batches(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    use, sizes = "batches", summary["sizes"]
    if not sizes:
        return _row(use, "No image has pixels that can be read.", None)
    # The most frequent is first.
    rows, columns = map(int, next(iter(sizes)).split("x"))
    parameters: dict[str, Any] = {"rows": rows, "columns": columns, "resize": len(sizes) > 1}
    parameters["invert"] = [name for name in summary["photometric"] if name == "MONOCHROME1"]
    why = "All images have one size." if len(sizes) == 1 else f"Images have {len(sizes)} sizes: resize them to one."
    if parameters["invert"]:
        why += f" {summary['photometric']['MONOCHROME1']:,} are MONOCHROME1: invert them."
    return _row(use, why, parameters)


def _series() -> Mapping[str, Any]:
    return _row("series", "Models and indicators take series; images are downloaded by name and used elsewhere.", None)
