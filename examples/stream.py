"""Filter a series as it arrives, over a WebSocket; a lost connection loses and doubles no point.

    seq 10 | python examples/stream.py

Reads one number per line from standard input, an empty line for a missing value, and prints one JSON object per point.
Needs websockets. Costs 1 unit per line, because each line is sent as a message of its own. See docs/streaming.md.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable
from typing import Any

from connection import connection
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

MODEL = {"kind": "local_level", "obs_var": 15099.0, "level_var": 1469.1}
END = object()


class Refused(Exception):
    """The server refused a message; holds the problem's detail."""


async def ask(socket: ClientConnection, **message: object) -> dict[str, Any]:
    """Send one message and return its answer."""
    await socket.send(json.dumps(message))
    return await receive(socket)


async def receive(socket: ClientConnection) -> dict[str, Any]:
    """Return the next message of the server."""
    message: dict[str, Any] = json.loads(await socket.recv())
    if message["type"] == "error":
        raise Refused(message["problem"]["detail"])
    return message


async def filtered(values: Iterable[float | None]) -> AsyncIterator[dict[str, Any]]:
    """Yield the answer to each value, in order, over as many connections as it takes."""
    url, headers = connection()
    waiting = iter(values)
    stream = None
    answered = 0
    # The value that was read and has no answer yet. It is sent again only if the server has not taken it.
    pending: list[Any] = []
    # `connect` as an iterator connects again after a loss, with growing pauses.
    async for socket in connect(f"{url}/kalman/stream".replace("http", "ws", 1), additional_headers=headers):
        try:
            if stream is None:
                stream = (await ask(socket, type="open", model=MODEL))["stream"]
            else:
                resumed = await ask(socket, type="resume", stream=stream, after=answered)
                while answered < resumed["sequence"]:
                    for point in (await receive(socket))["points"]:
                        answered += 1
                        pending.clear()
                        yield point
            while True:
                if not pending:
                    # In a thread: the next line may take long, and the connection answers pings meanwhile.
                    value = await asyncio.to_thread(next, waiting, END)
                    if value is END:
                        return
                    pending.append(value)
                answer = await ask(socket, type="points", sequence=answered + 1, values=pending)
                for point in answer["points"]:
                    answered += 1
                    pending.clear()
                    yield point
        except ConnectionClosed:
            print("Connection lost; resuming.", file=sys.stderr)


async def main() -> None:
    """Filter standard input."""
    lines = (line.strip() for line in sys.stdin)
    async for point in filtered(float(line) if line else None for line in lines):
        print(json.dumps(point), flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except Refused as error:
        sys.exit(str(error))
