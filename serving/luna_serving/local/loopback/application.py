"""The application that `luna up` runs: a module's capabilities, with their settings for one machine."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luna_serving.capabilities.contract import Capability
    from luna_serving.settings import Settings


def of_application(module: str) -> tuple[tuple[Capability, ...], Settings]:
    """The capabilities of an application, and their settings from the environment.

    Adds a capability's settings for one machine to the environment, where they are not set.

    Args:
        module: a module with CAPABILITIES, such as `luna_serving.app`.

    Raises:
        ValidationError: a setting is unknown or out of its range.
        ValueError: `only` or `hosts` names no capability.
    """
    from luna_serving.app import hosts
    from luna_serving.settings import read_settings

    capabilities: tuple[Capability, ...] = import_module(module).CAPABILITIES
    for each in capabilities:
        for name, value in each.local.items():
            os.environ.setdefault(f"LUNA_{each.name}_{name}".upper(), value)
    settings = read_settings({each.name: each.settings for each in capabilities})
    hosts(capabilities, settings)
    return capabilities, settings


def wrong_with(module: str) -> str | None:
    """Why the application cannot be built, naming the setting; None if it can."""
    from pydantic import ValidationError

    try:
        of_application(module)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(("LUNA", *map(str, first["loc"]))).upper()
        if first["type"] == "extra_forbidden":
            return f"{name} is not a setting: docs/configuration.md has them all."
        return f"{name} cannot be used: {first['msg'].removeprefix('Value error, ')}"
    except (ModuleNotFoundError, AttributeError) as error:
        return f"{module} cannot be used as an application: {error}."
    except ValueError as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(wrong_with(sys.argv[1]))
