"""Reads the bodies of the routes: small objects, and the list of up to thousands of files."""

import re
import uuid
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

import orjson

from luna_serving.capabilities.datasets.store.reading import Reference
from luna_serving.capabilities.datasets.store.records import Declared
from luna_serving.capabilities.datasets.store.starting import NewSet
from luna_serving.capabilities.datasets.validation.contract import ContractError, SetType
from luna_serving.capabilities.datasets.validation.contract_reading import contract_of
from luna_serving.capabilities.datasets.validation.names import clashes, path_fault, set_name_fault
from luna_serving.wire import problems
from luna_serving.wire.documents import refuse_mark
from luna_serving.wire.json_values import loads
from luna_serving.wire.pointers import cut, first, pointer_of
from luna_serving.wire.problems import FieldError

MEMBERS: Final = ("name", "type", "files", "contract")
FILE_MEMBERS: Final = ("path", "bytes", "sha256", "media_type")
SHA256: Final = re.compile(r"[0-9a-f]{64}")
# RFC 6838, section 4.2, with parameters as sent for text.
MEDIA_TYPE: Final = re.compile(
    r"[A-Za-z0-9][\w!#$&^.+-]{0,126}/[A-Za-z0-9][\w!#$&^.+-]{0,126}(; ?[\w-]{1,32}=[\w.+-]{1,64}){0,4}", re.ASCII
)
LONGEST_MEDIA_TYPE: Final = 255
REFERENCE: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,62})(?:@([1-9][0-9]{0,9}))?", re.ASCII)
MAX_VERSION: Final = 2**31 - 1


class Limits:
    """What one set may have."""

    def __init__(self, max_files: int, max_file_bytes: int) -> None:
        self.max_files = max_files
        self.max_file_bytes = max_file_bytes


def read_start(account_id: int, body: bytes, limits: Limits) -> NewSet:
    """Read the body of `POST /upload/start`.

    Raises:
        Problem: 422, with pointers to what is wrong.
    """
    document = _object(body)
    wrong = first(chain(_members(document, MEMBERS, ("name", "type", "files")), _of_set(document, limits)))
    if wrong:
        raise problems.invalid(*wrong)
    return NewSet(
        account_id,
        document["name"],
        document["type"],
        document.get("contract") or {},
        [Declared(f["path"], f["bytes"], f["sha256"], f["media_type"]) for f in document["files"]],
    )


def read_complete(body: bytes) -> uuid.UUID:
    """Read the body of `POST /upload/complete`.

    Raises:
        Problem: 422.
    """
    document = _object(body)
    if wrong := first(_members(document, ("dataset_id",), ("dataset_id",))):
        raise problems.invalid(*wrong)
    return read_id(document["dataset_id"], "/dataset_id")


def read_id(given: object, pointer: str) -> uuid.UUID:
    """An id of a set.

    Raises:
        Problem: 422.
    """
    try:
        return uuid.UUID(given if isinstance(given, str) else "")
    except ValueError as e:
        wrong = "Must be the `dataset_id` of an answer, such as 0197c2d4-0000-7000-8000-000000000000."
        raise problems.invalid(FieldError(pointer, wrong)) from e


def read_reference(given: str, pointer: str = "/path/reference") -> Reference:
    """A set by its id, or by its name with a version or without.

    Raises:
        Problem: 422.
    """
    found = REFERENCE.fullmatch(given)
    if found is not None and (found[2] is None or int(found[2]) <= MAX_VERSION):
        # An id is a valid name, too; nobody calls a set so.
        if found[2] is None and (by_id := _id_of(given)) is not None:
            return Reference(by_id)
        return Reference(name=found[1], version=int(found[2]) if found[2] else None)
    if (by_id := _id_of(given)) is not None:
        return Reference(by_id)
    raise problems.invalid(FieldError(pointer, "Must be an id, a name, or a name and a version such as sales@3."))


def _id_of(given: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(given) if len(given) in {32, 36} else None
    except ValueError:
        return None


def _object(body: bytes) -> dict[str, Any]:
    # Not `documents.read_object`, whose bound on objects is for requests of series: here each file is an object.
    refuse_mark(body)
    try:
        document = loads(body)
    except orjson.JSONDecodeError as e:
        wrong = f"Is not valid JSON: {e.msg} at line {e.lineno}, column {e.colno}."
        raise problems.invalid(FieldError("", wrong)) from e
    if not isinstance(document, dict):
        raise problems.invalid(FieldError("", "Must be a JSON object."))
    return document


def _members(
    given: dict[str, Any], known: tuple[str, ...], required: tuple[str, ...], at: str = ""
) -> Iterator[FieldError]:
    for name in given:
        if name not in known:
            yield FieldError(at + pointer_of([name]), f"Is unknown. Use {', '.join(known)}.")
    for name in required:
        if name not in given:
            yield FieldError(f"{at}/{name}", "Field required.")


def _of_set(document: dict[str, Any], limits: Limits) -> Iterator[FieldError]:
    name, kind = document.get("name"), document.get("type")
    if "name" in document:
        if not isinstance(name, str):
            yield FieldError("/name", "Must be a string.")
        elif fault := set_name_fault(name):
            yield FieldError("/name", _sentence(fault))
        elif _id_of(name) is not None:
            yield FieldError("/name", "Must not be a UUID, which would be taken for an id.")
    if "type" in document:
        if kind in list(SetType):
            yield from _of_contract(SetType(kind), document.get("contract"))
        else:
            yield FieldError("/type", f"Must be one of {', '.join(SetType)}.")
    if "files" in document:
        yield from _of_files(document["files"], limits)


def _of_contract(kind: SetType, contract: object) -> Iterator[FieldError]:
    try:
        contract_of(kind, {} if contract is None else contract)
    except ContractError as e:
        yield FieldError(f"/contract{e.pointer}", _sentence(e.message))


def _of_files(files: object, limits: Limits) -> Iterator[FieldError]:
    if not isinstance(files, list) or not files:
        yield FieldError("/files", "Must be a list of at least one file.")
        return
    if len(files) > limits.max_files:
        cure = f"A set has at most {limits.max_files}. Put rows of several files into one, or make several sets."
        yield FieldError("/files", f"Holds {len(files)} files. {cure}")
        return
    fine = True
    for i, each in enumerate(files):
        for wrong in _of_file(each, f"/files/{i}", limits):
            fine = False
            yield wrong
    if fine:
        places = {each["path"]: i for i, each in enumerate(files)}
        for kept, other in clashes(each["path"] for each in files):
            why = "is there twice" if kept == other else f"differs from {cut(kept, 64)!r} in letter case only"
            yield FieldError(f"/files/{places[other]}/path", _sentence(f"{why}; rename one of the files"))


def _of_file(given: object, at: str, limits: Limits) -> Iterator[FieldError]:
    if not isinstance(given, dict):
        yield FieldError(at, "Must be an object with path, bytes, sha256 and media_type.")
        return
    yield from _members(given, FILE_MEMBERS, FILE_MEMBERS, at)
    for name, check in _CHECKS.items():
        if name in given and (fault := check(given[name], limits)):
            yield FieldError(f"{at}/{name}", _sentence(fault))


def _path(value: object, limits: Limits) -> str | None:
    del limits
    return path_fault(value) if isinstance(value, str) else "must be a string"


def _bytes(value: object, limits: Limits) -> str | None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        return "must be a whole number, the size of the file"
    if value > limits.max_file_bytes:
        return f"is {value}; a file has at most {limits.max_file_bytes} bytes. Split it"
    return None


def _sha256(value: object, limits: Limits) -> str | None:
    del limits
    if isinstance(value, str) and SHA256.fullmatch(value):
        return None
    return "must be the SHA-256 of the file, 64 hexadecimal digits in lower case"


def _media_type(value: object, limits: Limits) -> str | None:
    del limits
    if isinstance(value, str) and len(value) <= LONGEST_MEDIA_TYPE and MEDIA_TYPE.fullmatch(value):
        return None
    return "must be a media type such as text/csv or application/vnd.apache.parquet"


_CHECKS: Final[dict[str, Callable[[object, Limits], str | None]]] = {
    "path": _path,
    "bytes": _bytes,
    "sha256": _sha256,
    "media_type": _media_type,
}


def _sentence(fault: str) -> str:
    text = fault[:1].upper() + fault[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
