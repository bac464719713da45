"""What the processes of the platform load: an ingress no JAX, a replica neither stores nor the web framework."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HEAVY = ("jax", "jaxlib")
EDGE = ("redis", "sqlalchemy", "psycopg", "fastapi", "starlette", "jwt")


def loaded_by(*modules: str) -> set[str]:
    """The names of all modules that a fresh interpreter has loaded after importing these."""
    program = f"import json, sys, {', '.join(modules)}; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize(
    "module",
    [
        "luna_serving.app",
        "luna_serving.capabilities.kalman.routes",
        "luna_serving.capabilities.kalman.replica",
        "luna_serving.engines.statespace.api.description",
    ],
)
def test_what_an_ingress_imports_loads_no_jax(module: str) -> None:
    assert loaded_by(module).isdisjoint(HEAVY)


def test_a_replica_loads_neither_stores_nor_the_web_framework() -> None:
    own = loaded_by("luna_serving.capabilities.kalman.replica", "luna_serving.engines.statespace.api.compute")
    assert own.isdisjoint(EDGE)


def test_the_contract_forbids_every_room_of_the_engine_but_its_api() -> None:
    pyproject = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    contracts = {each["name"]: each for each in pyproject["tool"]["importlinter"]["contracts"]}
    contract = contracts["capabilities import an engine by its api only"]
    assert "luna_serving.engines.statespace.*" in contract["forbidden_modules"]
    allowed = [each for each in contract["ignore_imports"] if "statespace" in each]
    assert allowed == ["luna_serving.capabilities.** -> luna_serving.engines.statespace.api.**"]
