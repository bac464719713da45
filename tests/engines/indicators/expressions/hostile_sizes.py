"""Too long, too deep, too many, too large: written by programs. As in `hostile`."""

from .hostile import Hostile

NUMBERS: list[Hostile] = [
    ("close * «1e999»", "larger than the largest double"),
    ("close * -«1e999»", "larger than the largest double"),
    ("close * «1e-999»", "smaller than the smallest double"),
    ("close * «1.8e308»", "larger than the largest double"),
    ("close + «1e»", "is not a number"),
    ("close + «1.2.3»", "is not a number"),
    ("close + «1_000»", "is not a number"),
    ("close + «0x10»", "is not a number"),
    ("close + «0b1»", "is not a number"),
    ("close + «1j»", "is not a number"),
    ("close + «.5»", "Write decimal numbers as 12, 0.5 or 2.5e6"),
    ("close + «1.»", "is not a number"),
    ("close + «1.e5»", "is not a number"),
    ("close + «12abc»", "is not a number"),
    ("close + 1«,»000", "Remove it"),
    (f"close + «{'9' * 400}»", "A number of 400 characters"),
    (f"close + «0.{'3' * 100}»", "A number of 102 characters"),
    (f"ema(close, «{'1' * 33}»)", "A number of 33 characters"),
    ("close «**» 999999999", "There are no powers"),
    ("9«**»9**9**9 * close", "There are no powers"),
    ("close «^» 9 ^ 9", "There are no powers"),
    ("10«**»10 * close", "There are no powers"),
    ("close + 1 <«<» 999999", "not expected"),
]

PERIODS: list[Hostile] = [
    ("ema(close, «999999999»)", "out of range"),
    ("ema(close, «100001»)", "out of range"),
    (f"ema(close, «{'9' * 32}»)", "out of range"),
    ("ema(close, «1000000000000»)", "out of range"),
    ("«ema(close, 100000)»", "The first value needs 99999 bars"),
    ("«ema(ema(close, 6000), 6000)»", "The first value needs 11998 bars"),
    ("close + «ema(ema(ema(close, 4000), 4000), 4000)»", "The first value needs 11997 bars"),
    ("lag(close, «10001»)", "A lag of more than 10000 bars"),
    ("lag(close, «999999999999»)", "A lag of more than 10000 bars"),
    ("«lag(lag(close, 9000), 9000)»", "The first value needs 18000 bars"),
    ("«lag(ema(close, 6000), 6000)»", "The first value needs 11999 bars"),
    ("«cross_over(lag(close, 10000), open)»", "The first value needs 10001 bars"),
    ("ema(close, «-999999999»)", "out of range"),
    ("lag(close, «-999999999»)", "not known yet"),
    ("bbands(close, 20, «1e308»).upperband", "out of range"),
]

DEEP: list[Hostile] = [
    ("(" * 48 + "«(»" + "(" * 500 + "close" + ")" * 549, "nested more than 48 levels deep"),
    ("(" * 48 + "«(»" + "(" * 1900, "nested more than 48 levels deep"),
    ("-" * 48 + "«-»" + "-" * 900 + "close", "nested more than 48 levels deep"),
    ("not " * 48 + "«not» " + "not " * 300 + "close > 1", "nested more than 48 levels deep"),
    ("ema(" * 48 + "«ema»(" + "ema(" * 100 + "close", "nested more than 48 levels deep"),
    ("ema(" * 30 + "-" * 18 + "«ema»(close" + ", 2)" * 31, "nested more than 48 levels deep"),
    ("close + (" * 24 + "«close»" + " + (" + "close + (" * 40, "nested more than 48 levels deep"),
    ("close" + " + close" * 47 + " «+» close" + " + close" * 50, "nested more than 48 levels deep"),
    ("close" + " * close" * 47 + " «*» close" + " * close" * 50, "nested more than 48 levels deep"),
    ("where(close > 1, " * 46 + "where(close > «1», " + "close, 0)" + ", 0)" * 46, "nested more than 48 levels deep"),
]

LARGE: list[Hostile] = [
    ("close" + " " * 1995 + "«" + " " * 1_000_000 + "»", "2000 are allowed"),
    ("a" * 2000 + "«" + "a" * 100_000 + "»", "2000 are allowed"),
    ("(" * 2000 + "«" + "(" * 1_000_000 + "»", "2000 are allowed"),
    ("\x00" * 2000 + "«" + "\x00" * 50_000 + "»", "2000 are allowed"),
    ("1" * 2000 + "«" + "1" * 5_000_000 + "»", "2000 are allowed"),
    ("«" + "a" * 1999 + "»", "no column " + "a" * 40 + "..."),
    ("«" + "_" * 1999 + "»", "begin with an underscore"),
    ("«" + "a" * 1990 + "»(close)", "no function or indicator " + "a" * 40 + "..."),
    ("where(close, close, close, «close»" + ", close" * 120 + ")", "takes 3 arguments, 124 are given"),
    ("where(" + "1," * 255 + "«1»" + ",1" * 300 + ")", "more than 256 numbers"),
    ("«" + "+".join(f"ema(close,{n})" for n in range(2, 47)) + "»", "The expression costs"),
    ("«" + "+".join(f"sma(close,{9000 + n})" for n in range(6)) + "»", "The expression costs"),
]
