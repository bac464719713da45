"""How large an expression may be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one expression. Each is checked before the work that it bounds."""

    characters: int = 2_000
    """Length of the text, code points. The tokenizer's work is linear in it."""
    nodes: int = 256
    """Numbers, names, operators and calls."""
    depth: int = 48
    """Nesting of parentheses, calls and operators; a sum of n terms has depth n. The parser takes about three stack
    frames per level."""
    cost: int = 400
    """Work per bar: 1 per operator, 10 per indicator that is computed. Equal calls are computed once and counted
    once."""
    lookback: int = 10_000
    """Bars before the first value: 40 years of days."""
    number_characters: int = 32
    """Length of a literal number; more digits than a double has are a mistake."""
