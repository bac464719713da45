"""Write the limits of `luna_store.limits` into the CustomResourceDefinitions: `python -m luna_operator.schema`.

The generated lines are between two comments; the rest of a file is written by hand. `--check` changes nothing and exits
with 1 where a file differs from the list.
"""

import argparse
import sys
import textwrap
from pathlib import Path

from luna_store import limits

BEGIN = "# Generated from luna_store/limits.py by `python -m luna_operator.schema`: {}."
END = "# End of the generated lines."
WIDTH = 120

SPEC_OF_ACCOUNT, SPEC_OF_TIER, STATUS = "an Account's limits", "a Tier's limits", "the limits in force"


def with_limits(text: str) -> str:
    """A CustomResourceDefinition with its generated lines renewed from the list of limits.

    Raises:
        ValueError: a generated part has no end.
    """
    done: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        done.append(line)
        part = next(
            (part for part in (SPEC_OF_ACCOUNT, SPEC_OF_TIER, STATUS) if line.strip() == BEGIN.format(part)), None
        )
        if part is None:
            continue
        margin = " " * (len(line) - len(line.lstrip()))
        done += [margin + each for limit in limits.LIMITS for each in _field(limit, part, WIDTH - len(margin))]
        if not any(line.strip() == END for line in lines):
            raise ValueError(f"After {BEGIN.format(part)!r} comes no {END!r}.")
        done.append(margin + END)
    return "\n".join(done) + "\n"


def _field(limit: limits.Limit, part: str, width: int) -> list[str]:
    if part == STATUS:
        return [f"{limit.field}:", "  type: integer", "  format: int64", f"  description: {limit.what}."]
    default = f"the Tier's, else {limit.unset}" if part == SPEC_OF_ACCOUNT else limit.unset
    bounds = "" if (limit.lowest, limit.highest) == (1, limits.HIGHEST) else f", {limit.lowest} to {limit.highest}"
    return [
        f"{limit.field}:",
        "  type: integer",
        f"  format: {'int32' if limit.highest <= limits.HIGHEST else 'int64'}",
        f"  minimum: {limit.lowest}",
        f"  maximum: {limit.highest}",
        "  description: >-",
        *textwrap.wrap(
            f"{limit.what}{bounds}. Default: {default}.",
            width,
            initial_indent=" " * 4,
            subsequent_indent=" " * 4,
            break_on_hyphens=False,
        ),
    ]


def main(argv: list[str] | None = None) -> int:
    """Write or check the files; returns the exit status."""
    parser = argparse.ArgumentParser("python -m luna_operator.schema", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("crds"))
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args(argv)
    stale = 0
    for path in sorted(arguments.folder.glob("*.yaml")):
        before = path.read_text()
        after = with_limits(before)
        if before == after:
            continue
        stale += 1
        if not arguments.check:
            path.write_text(after)
        done = "is not as luna_store/limits.py says" if arguments.check else "is written"
        sys.stderr.write(f"{path} {done}\n")
    return 1 if stale and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
