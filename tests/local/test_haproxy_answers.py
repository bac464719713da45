"""What HAProxy answers by itself looks like what Luna answers."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE

from luna_serving.ingress import problems
from luna_serving.local.haproxy_on_loopback import ANSWERS, with_problems, write_answers
from luna_serving.local.ports import free_ports
from luna_serving.local.ray_environment import haproxy_binary, install_haproxy

SAME = {
    408: problems.deadline(1),
    413: problems.too_large(1),
    500: problems.internal(),
    502: problems.overloaded(),
    503: problems.overloaded(),
    504: problems.overloaded(),
}
