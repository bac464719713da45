"""Work spread over threads: in order, all of it, and an error is the caller's."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from luna_serving.engines.statespace.plans.threads import on_threads


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_the_order_of_the_pieces(pool, threads):
    def slower_first(piece: int) -> int:
        time.sleep((10 - piece) / 1000)
        return piece * piece

    assert on_threads(pool, slower_first, range(10), threads) == [piece * piece for piece in range(10)]


def test_without_a_pool_all_is_done_here():
    assert set(on_threads(None, lambda _: threading.get_ident(), range(5), 2)) == {threading.get_ident()}


def test_the_caller_works_beside_the_pool(pool):
    together = threading.Barrier(2, timeout=5)

    def meet(_: int) -> int:
        together.wait()
        return threading.get_ident()

    who = on_threads(pool, meet, range(2), 2)
    assert threading.get_ident() in who
    assert len(set(who)) == 2


def test_a_pool_that_is_busy_is_not_waited_for():
    with ThreadPoolExecutor(1) as busy:
        leave = threading.Event()
        busy.submit(leave.wait)
        assert on_threads(busy, lambda piece: piece, range(3), 2) == [0, 1, 2]
        leave.set()


@pytest.mark.parametrize("bad", [0, 1, 5])
def test_an_error_is_the_callers_and_nobody_goes_on_working(pool, bad):
    working = []

    def task(piece: int) -> None:
        working.append(piece)
        time.sleep(0.002)
        if piece == bad:
            raise ValueError(piece)
        working.remove(piece)

    with pytest.raises(ValueError, match=str(bad)):
        on_threads(pool, task, range(8), 2)
    assert working == [bad]
