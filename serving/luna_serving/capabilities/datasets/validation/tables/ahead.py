"""Reads the next batch in a thread while the last is checked."""

import threading
from collections.abc import Generator, Iterator
from queue import Queue
from typing import TypeVar

T = TypeVar("T")


class _End:
    """What follows the last item: nothing, or the error that ended the iteration."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items; the next is made while the last is used. Arrow releases Python's lock while it reads."""
    queue: Queue[T | _End] = Queue(1)
    left = threading.Event()

    def fill() -> None:
        try:
            for item in items:
                if left.is_set():
                    return
                queue.put(item)
        except BaseException as error:  # noqa: BLE001  raised again below, in the thread that waits
            queue.put(_End(error))
        else:
            queue.put(_End())

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        while True:
            item = queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        left.set()
        while thread.is_alive():
            while not queue.empty():
                queue.get()
            thread.join(0.01)
