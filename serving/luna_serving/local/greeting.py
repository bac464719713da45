"""The message of `luna up` when it is ready."""

from __future__ import annotations

import http.client
import json
import shlex

from luna_serving.local.data_folder.ports import LOOPBACK

# The first ten years of Durbin and Koopman's series of the Nile (1871-1880, 10^8 m^3).
_NILE = (1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140)


def curl(url: str, account_id: int, key: str) -> str:
    """A first call, on one line that can be pasted into a shell."""
    body = json.dumps({"results": _NILE}, separators=(",", ":"))
    return shlex.join(
        [
            *("curl", f"{url}/api/v1/{account_id}/kalman"),
            *("-H", f"X-API-Key: {key}", "-H", "Content-Type: application/json", "-d", body),
        ]
    )


def answers(port: int) -> bool:
    """Whether the application reports, on its public port, that it is ready."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5.0)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
