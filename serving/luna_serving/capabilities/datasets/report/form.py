"""Whether a caller wants the report as JSON or as a page."""

from typing import Final

from luna_serving.wire import problems

JSON: Final = "application/json"
HTML: Final = "text/html"
FORMS: Final = (JSON, HTML)


def form_of(accept: str | None) -> str:
    """The form that `Accept` prefers (RFC 9110, section 12.5.1); JSON where it does not matter.

    Raises:
        Problem: 406, it takes neither.
    """
    if not accept:
        return JSON
    weights = dict.fromkeys(FORMS, 0.0)
    exact = dict.fromkeys(FORMS, -1)
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = _quality(next((p[2:] for p in parameters if p.startswith("q=")), "1"))
        for form in FORMS:
            precision = (name == "*/*", name == f"{form.split('/')[0]}/*", name == form)
            if any(precision) and (rank := precision.index(True)) > exact[form]:
                weights[form], exact[form] = weight, rank
    best = max(FORMS, key=lambda form: weights[form])
    if weights[best] <= 0:
        raise problems.not_acceptable(FORMS)
    return best


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
