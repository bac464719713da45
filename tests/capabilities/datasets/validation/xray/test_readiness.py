"""Claims about readiness of X-ray sets: what a valid set is enough for, and what a training run must be told."""

from collections import Counter
from dataclasses import asdict

import pytest
from tests.capabilities.datasets.validation.xray.test_sets import image, table, together, two_classes

from luna_serving.capabilities.datasets.validation.contract import SetType
from luna_serving.capabilities.datasets.validation.readiness import readiness
from luna_serving.capabilities.datasets.validation.xray.sets import SetSummary

USES = ("classification", "split", "batches", "series")


def rows(summary: SetSummary, **changes: object) -> dict:
    found = readiness(SetType.XRAY, asdict(summary) | changes)
    assert tuple(row["use"] for row in found) == USES
    assert all(row["why"].endswith(".") and row["ready"] == bool(row["parameters"]) for row in found)
    return {row["use"]: row for row in found}


@pytest.fixture
def summary(tmp_path) -> SetSummary:
    """Of 30 images, two thirds of one class."""
    labels = {f"{number}.dcm": "a" if number % 3 else "b" for number in range(30)}
    return together([image(number) for number in range(30)], table(labels), folder=tmp_path)[1]


def test_a_labelled_set_is_ready_with_weights_folds_and_a_size(summary):
    ready = rows(summary)
    assert [use for use in USES if ready[use]["ready"]] == ["classification", "split", "batches"]
    weights = ready["classification"]["parameters"]["class_weights"]
    assert weights == {"a": 0.75, "b": 1.5}
    # Every class counts alike.
    assert len({round(weights[name] * count, 6) for name, count in summary.classes.items()}) == 1
    assert ready["split"]["parameters"] == {"group_by": "patient", "folds": 5}
    assert ready["batches"]["parameters"] == {"rows": 64, "columns": 64, "resize": False, "invert": []}


def test_images_without_labels_or_with_a_rare_class_teach_no_classes(summary):
    assert "labels file" in rows(summary, classes={})["classification"]["why"]
    assert "Class b has 9" in rows(summary, classes={"a": 21, "b": 9})["classification"]["why"]


def test_a_label_that_the_device_tells_is_not_learnt_from(tmp_path):
    labels = two_classes(40)
    images = [image(n, acquisition={"kVp": labels[f"{n}.dcm"]}) for n in range(40)]
    found, summary = together(images, table(labels), folder=tmp_path)
    assert summary.confounded == [finding.column for finding in found if finding.id == "SET120"] == ["kVp"]
    assert "depends on kVp" in rows(summary)["classification"]["why"]


def test_a_split_is_the_sets_own_or_by_patient_where_patients_are_known():
    parts = [image(n, f"{'test' if n < 5 else 'train'}/{n}.dcm") for n in range(20)]
    assert rows(together(parts)[1])["split"]["parameters"] == {"parts": {"test": 5, "train": 15}}
    few = [image(n, patient=f"p{n % 3}") for n in range(12)]
    assert "3 patients" in rows(together(few)[1])["split"]["why"]
    unknown = [image(n, patient=None if n == 7 else f"p{n}") for n in range(20)]
    assert "1 of 20 images name no patient" in rows(together(unknown)[1])["split"]["why"]
    shared = [image(n, patient="same" if n < 25 else f"p{n}") for n in range(40)]
    assert "40 of 40" in rows(together(shared)[1])["split"]["why"]


def test_batches_have_the_most_frequent_size_and_say_what_to_invert():
    images = [image(n, rows=128 if n < 3 else 64, photometric=f"MONOCHROME{1 + (n > 1)}") for n in range(12)]
    assert Counter(each.rows for each in images) == {64: 9, 128: 3}
    row = rows(together(images)[1])["batches"]
    assert row["parameters"] == {"rows": 64, "columns": 64, "resize": True, "invert": ["MONOCHROME1"]}
    assert "2 sizes" in row["why"]
    assert "2 are MONOCHROME1" in row["why"]
