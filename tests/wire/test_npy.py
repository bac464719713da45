"""Arrays are read as NumPy writes them; whatever else is refused, and nothing is unpickled."""

import io
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from luna_serving.wire.npy import read_npy, written_npy
from luna_serving.wire.problems import Problem


def saved(array: Any, *, version: tuple[int, int] | None = None, allow_pickle: bool = False) -> bytes:
    sink = io.BytesIO()
    np.lib.format.write_array(sink, np.asanyarray(array), version, allow_pickle=allow_pickle)
    return sink.getvalue()


def refused(body: bytes) -> str:
    with pytest.raises(Problem) as refusal:
        read_npy(body)
    assert refusal.value.status == 422
    (error,) = refusal.value.extra["errors"]
    assert error["pointer"] == ""
    return str(error["detail"])


def headed(header: bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


@given(arrays(np.float64, array_shapes(max_dims=3, max_side=5)), st.sampled_from("CF"))
def test_what_numpy_saves_is_read_and_what_is_written_numpy_loads(array: np.ndarray, order: Any) -> None:
    np.testing.assert_array_equal(read_npy(saved(np.array(array, order=order))), array)
    np.testing.assert_array_equal(np.load(io.BytesIO(written_npy(array))), array)


@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4", "<f2", "<i8", ">i4", "|i1", "|u1", "<u2"])
def test_every_type_of_numbers_becomes_float64(kind: str) -> None:
    read = read_npy(saved(np.array([[1, 2, 3], [4, 5, 6]], kind)))
    assert read.dtype == np.float64
    assert read.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read(version: tuple[int, int]) -> None:
    assert read_npy(saved([1.0, 2.0], version=version)).tolist() == [1.0, 2.0]


class Evil:
    """Runs when it is unpickled."""

    run = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (Evil, "run", True)


def test_objects_are_refused_and_not_unpickled() -> None:
    detail = refused(saved(np.array([Evil()], dtype=object), allow_pickle=True))
    assert "never unpickled" in detail
    assert "dtype=float" in detail, "the cure"
    assert "no .npy file" in refused(pickle.dumps(Evil()))
    assert not Evil.run


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([1 + 2j]), np.zeros(2, "i4,f8"), np.array([True])])
def test_what_is_no_number_is_refused(array: Any) -> None:
    refused(saved(array))


def test_every_file_that_is_cut_off_or_too_long_is_refused() -> None:
    whole = saved(np.arange(4.0))
    for end in range(len(whole)):
        refused(whole[:end])
    assert "one array" in refused(whole + b"\0")


def test_an_archive_is_refused_with_the_cure() -> None:
    sink = io.BytesIO()
    np.savez(sink, a=[1.0])
    assert "np.savez" in refused(sink.getvalue())


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (1 1,), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': __import__('os'), }",
        b"{'descr': '<f8', 'fortran_order': 1, 'shape': (1,), }",
        b"{'descr': '|V8', 'fortran_order': False, 'shape': (1,), }",
        b"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }",
        b"(" * 3000,
        b"",
    ],
)
def test_a_hostile_header_is_refused(header: bytes) -> None:
    refused(headed(header, bytes(8)))


def test_an_unknown_version_is_refused() -> None:
    assert "version" in refused(headed(b"", version=b"\x09\x00"))
