"""`luna simulate`: a value by simulation, at once or by a job with its progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luna_serving.commands.calculations import add_calculation, body_of, over

if TYPE_CHECKING:
    import argparse

MODEL = ("spot", "rate", "dividend_yield", "volatility")
PAYOFF = ("type", "strike")


def add_simulate(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], folder: argparse.ArgumentParser
) -> None:
    """Add the parser."""
    text = "value an option or a portfolio by simulation"
    parser = add_calculation(commands, folder, "simulate", text, "montecarlo", wanted, shown)
    for name in MODEL:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="X", help=f"{name} of the model gbm")
    parser.add_argument("--type", choices=("call", "put"), help="of a European option")
    parser.add_argument("--strike", type=float, metavar="X", help="of a European option")
    parser.add_argument("--expiry", type=float, metavar="YEARS", help="years to expiry")
    parser.add_argument("--steps", type=int, metavar="N", help="equal steps to expiry")
    parser.add_argument("--paths", type=int, metavar="N", help="paths, rounded up to whole blocks (100000)")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same bits")
    parser.add_argument("--std-error", type=float, metavar="X", help="end when the standard error is at most this")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after so many seconds of computing")


def wanted(arguments: argparse.Namespace) -> dict[str, Any]:
    """The body: the file's members, and the arguments over them."""
    body = body_of(arguments)
    for member, kind, names in (("model", "gbm", MODEL), ("payoff", "european", PAYOFF)):
        if given := over({}, arguments, names):
            body[member] = {"kind": kind, **body.get(member, {}), **given}
    over(body, arguments, ("expiry", "steps", "paths", "seed"))
    if given := over({}, arguments, ("std_error", "seconds")):
        body["stop"] = {**(body.get("stop") or {}), **given}
    return body


def shown(result: dict[str, Any]) -> str:
    """The answer for people."""
    plan, interval = result["plan"], result["interval"]
    lines = [
        f"value        {result['value']:.8g} +- {result['std_error']:.2g}",
        f"95 %         {interval['lower']:.8g} to {interval['upper']:.8g}",
    ]
    if upper := result.get("upper_bound"):
        lines.append(f"upper bound  {upper['value']:.8g} +- {upper['std_error']:.2g}")
    for level, var in (result.get("var") or {}).items():
        es = result["es"][level]
        lines.append(f"VaR {level:<8} {var['value']:.6g} +- {var['std_error']:.2g}")
        lines.append(f"ES {level:<9} {es['value']:.6g} +- {es['std_error']:.2g}")
    lines.append(f"paths        {result['paths']:,} of {plan['steps']} steps, {plan['sampling']}, seed {plan['seed']}")
    return "\n".join(lines)
