"""Forms by themselves: which member is wrong, without a union's branches in the pointers, and what OpenAPI shows."""

from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from luna_serving.wire.forms import Form, open_body, read_form
from luna_serving.wire.pointers import MAX_ERRORS
from luna_serving.wire.problems import Problem
from luna_serving.wire.strict import ByKind, StrictModel, kinds_of


class Circle(StrictModel):
    """By its radius."""

    kind: Literal["circle"] = "circle"
    radius: float


class Polygon(StrictModel):
    """By its corners."""

    kind: Literal["polygon"]
    corners: list[float]


Shape = Annotated[Circle | Polygon, Field(discriminator="kind"), ByKind(kinds_of(Circle | Polygon))]


class Samples(BaseModel):
    """The series."""

    samples: list[float] = Field(min_length=1, description="What was measured.")


class Drawing(Form):
    """A request."""

    SERIES: ClassVar[type[BaseModel]] = Samples

    shape: Shape
    others: list[Shape] = Field([])
    hidden: Shape | None = None


class Sketch(Drawing):
    """A request whose series may be left out."""

    class Optional(BaseModel):
        """The series."""

        samples: list[float] | None = None

    SERIES: ClassVar[type[BaseModel]] = Optional


def errors(document: dict[str, Any], schema: type[StrictModel] = Drawing) -> dict[str, str]:
    with pytest.raises(Problem) as refused:
        read_form(schema, document)
    return {each["pointer"]: each["detail"] for each in refused.value.extra["errors"]}


def test_a_pointer_holds_what_the_body_holds_and_no_kind() -> None:
    wrong = {"kind": "circle", "radius": "1"}
    found = errors({"shape": wrong, "others": [{"kind": "polygon", "corners": [1.0, None]}], "hidden": wrong})
    assert set(found) == {"/shape/radius", "/others/0/corners/1", "/hidden/radius"}


@pytest.mark.parametrize("shape", [{"kind": "star"}, {"radius": 1.0}, {"kind": ["circle"]}, 3, None, []])
def test_what_names_no_known_kind_is_one_error_at_its_place(shape: object) -> None:
    assert set(errors({"shape": shape})) == {"/shape"}


def test_a_kind_that_is_not_known_is_answered_with_those_that_are() -> None:
    assert errors({"shape": {"kind": "star"}}) == {"/shape": "Its kind 'star' is none of 'circle', 'polygon'."}
    assert errors({"shape": {"radius": 1.0}}) == {"/shape": "Must have a kind, which says what it is."}


class Order(StrictModel):
    """A member of several types."""

    size: dict[str, int | float | str] = Field({})
    shapes: list[Circle] = Field([], min_length=1)


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        (
            {"size": {"a": True}},
            "/size/a",
            "Input should be a valid integer or a valid number or a valid string.",
        ),
        ({"shapes": ["circle"]}, "/shapes/0", "Input should be an object."),
        ({"shapes": []}, "/shapes", "Must have at least 1 element."),
        ({"shapes": [{}]}, "/shapes/0/radius", "Field required."),
        ({"sizes": {}}, "/sizes", "Is not permitted here: the members are size, shapes."),
        ({"shapes": [{"radius": 1.0, "r": 1.0}]}, "/shapes/0/r", "Is not permitted here."),
    ],
)
def test_an_error_is_one_sentence_at_a_place_that_the_body_has(body: dict[str, Any], pointer: str, detail: str) -> None:
    assert errors(body, Order) == {pointer: detail}


def test_the_members_of_a_form_are_listed_with_its_series() -> None:
    found = errors({"shape": {"kind": "circle", "radius": 1.0}, "q": 1})
    assert found == {"/q": "Is not permitted here: the members are samples, shape, others, hidden."}


def test_unknown_members_are_found_at_every_depth_before_pydantic_is_asked() -> None:
    circle = {"kind": "circle", "radius": 1.0, "r/g": 1}
    with pytest.raises(Problem) as refused:
        read_form(Drawing, {"shape": circle, "others": [{**circle, "kind": "?"}, circle], "hidden": circle, "q": 1})
    pointers = [each["pointer"] for each in refused.value.extra["errors"]]
    assert pointers == ["/q", "/shape/r~1g", "/others/1/r~1g", "/hidden/r~1g"]
    assert refused.value.__cause__ is None
    with pytest.raises(Problem) as refused:
        read_form(Drawing, {"shape": {"kind": "circle"} | {f"m{i}": i for i in range(1000)}})
    assert len(refused.value.extra["errors"]) == MAX_ERRORS


def test_the_series_are_handed_on_as_they_came_and_never_looked_at() -> None:
    opened = open_body(Drawing, b'{"samples": ["x", {}], "shape": {"kind": "circle", "radius": 2}}', 10)
    assert opened.series == ["x", {}]
    assert opened.form == Drawing(shape=Circle(radius=2.0))
    assert opened.form.shape.to_json() == {"kind": "circle", "radius": 2.0}


def test_series_that_are_missing_are_shown_with_what_else_is_wrong() -> None:
    with pytest.raises(Problem) as refused:
        open_body(Drawing, b'{"shape": {"kind": "circle", "radius": null}}', 10)
    assert [each["pointer"] for each in refused.value.extra["errors"]] == ["/samples", "/shape/radius"]
    assert isinstance(refused.value.__cause__, ValidationError)
    with pytest.raises(Problem) as refused:
        open_body(Drawing, b'{"shape": {"kind": "circle", "radius": 1}}', 10)
    assert refused.value.extra["errors"] == [{"pointer": "/samples", "detail": "Field required."}]
    assert open_body(Sketch, b'{"shape": {"kind": "circle", "radius": 1}}', 10).series is None


def test_openapi_shows_the_series_behind_the_first_members_that_are_required() -> None:
    schema = Drawing.model_json_schema()
    assert list(schema["properties"]) == ["shape", "samples", "others", "hidden"]
    assert schema["properties"]["samples"]["description"] == "What was measured."
    assert schema["required"] == ["shape", "samples"]
    assert Sketch.model_json_schema()["required"] == ["shape"]


def test_openapi_shows_a_union_with_its_discriminator() -> None:
    shown = Drawing.model_json_schema()["properties"]["shape"]
    assert shown["discriminator"]["propertyName"] == "kind"
    assert {each["$ref"] for each in shown["oneOf"]} == {"#/$defs/Circle", "#/$defs/Polygon"}
