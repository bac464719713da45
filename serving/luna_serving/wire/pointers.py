"""JSON pointers (RFC 6901) into a request, and how many errors one problem shows."""

from collections.abc import Iterable, Iterator
from itertools import islice

from luna_serving.wire.problems import FieldError

# More errors than these help nobody.
MAX_ERRORS = 10
# A name or a value of the caller's that an error repeats: enough to find it again.
MAX_ECHO = 64


def pointer_of(steps: Iterable[str]) -> str:
    """The JSON pointer of member names and indices; a name of megabytes is not sent back."""
    return "".join("/" + cut(step, MAX_ECHO).replace("~", "~0").replace("/", "~1") for step in steps)


def cut(text: str, most: int) -> str:
    """The text, or its beginning and its end."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def first(errors: Iterator[FieldError]) -> list[FieldError]:
    """As many errors as a problem shows."""
    return list(islice(errors, MAX_ERRORS))
