"""Templates against what Prometheus 3 prints, worked out from its template/template.go and Go's fmt."""

import pytest

from luna_serving.capabilities.alerts.templates.template import TemplateWrong, Values, parse_template

VALUES = Values({"host": "a.example.org:9100", "job": "node exporter"}, 0.9723, {}, "https://luna.example.com")


def rendered(text: str, value: float = VALUES.value) -> str:
    return parse_template(text).render(Values(VALUES.labels, value, {}, VALUES.external_url))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{{ $labels.host }} {{ $labels.nothing }}.", "a.example.org:9100 ."),
        ("{{ .Labels.job }} {{ .Value }}", "node exporter 0.9723"),
        ("{{ $value | humanizePercentage }}", "97.23%"),
        ("{{ humanizePercentage $value }}", "97.23%"),
        ('{{ printf "%.2f" $value }}', "0.97"),
        ('{{ $value | printf "%.1f|%s" }}', "1.0|%!s(MISSING)"),
        ('{{ printf "%d" $value }}', "%!d(float64=0.9723)"),
        (
            '{{ printf "%5.1f|%-6s|%06.2f|%+g|%%|%q" $value "ab" $value $value "c" }}',
            '  1.0|ab    |000.97|+0.9723|%|"c"',
        ),
        ("{{ $labels.job | title | toUpper }}", "NODE EXPORTER"),
        ("{{ $labels.job | title }}", "Node Exporter"),
        ("{{ $labels.host | stripPort }} {{ $labels.host | stripDomain }}", "a.example.org a:9100"),
        ('{{ index $labels "host" | len }}', "18"),
        ("{{ if gt $value 0.9 }}hot{{ else }}cold{{ end }}", "hot"),
        ("{{ if lt $value 0.5 }}cold{{ else if lt $value 0.9 }}warm{{ else }}hot{{ end }}", "hot"),
        ('{{ if eq $labels.job "node exporter" "x" }}y{{ end }}', "y"),
        ("{{ if and $labels.host (not $labels.nothing) }}y{{ end }}", "y"),
        ("a {{- $value -}} b", "a0.9723b"),
        ("a{{/* a comment */}}b", "ab"),
        ('{{ `raw` }}{{ "q\\"\\n" }}', 'rawq"\n'),
        ("{{ $externalURL }}", "https://luna.example.com"),
        ("{{ $labels }}", "map[host:a.example.org:9100 job:node exporter]"),
        ('{{ parseDuration "1h30m" }}', "5400"),
        ('{{ $labels.host | reReplaceAll "(.*):(.*)" "$2 of ${1}$$" }}', "9100 of a.example.org$"),
        ('{{ reReplaceAll "[aeiou]" "-" "a node" }}{{ match "o.e" "a node" }}', "- n-d-true"),
        ('{{ $labels.host | reReplaceAll "(" "" }}', "<error expanding template: '(' is not a regular expression>"),
        ("{{ $labels.job | humanize }}", "<error expanding template: 'node exporter' is not a number>"),
    ],
)
def test_a_template_prints_what_go_prints(text: str, expected: str) -> None:
    assert rendered(text) == expected


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        ("humanize", 0.0, "0"),
        ("humanize", 1.0, "1"),
        ("humanize", 1234567.0, "1.235M"),
        ("humanize", -1234.0, "-1.234k"),
        ("humanize", 0.00042, "420u"),
        ("humanize", 1e27, "1000Y"),
        ("humanize", float("nan"), "NaN"),
        ("humanize", float("inf"), "+Inf"),
        ("humanize1024", 1048576.0, "1Mi"),
        ("humanize1024", 1.0, "1"),
        ("humanize1024", 1e3, "1000"),
        ("humanizeDuration", 0.0, "0s"),
        ("humanizeDuration", 1.0, "1s"),
        ("humanizeDuration", 60.0, "1m 0s"),
        ("humanizeDuration", 3600.0, "1h 0m 0s"),
        ("humanizeDuration", 86400.0 + 3661, "1d 1h 1m 1s"),
        ("humanizeDuration", -3661.0, "-1h 1m 1s"),
        ("humanizeDuration", 899.99, "14m 59s"),
        ("humanizeDuration", 12.3456, "12.35s"),
        ("humanizeDuration", 0.0123, "12.3ms"),
        ("humanizePercentage", -0.22222, "-22.22%"),
        ("humanizePercentage", 100.0, "1e+04%"),
        ("humanizeTimestamp", 0.0, "1970-01-01 00:00:00 +0000 UTC"),
        ("humanizeTimestamp", 1435065584.128, "2015-06-23 13:19:44.128 +0000 UTC"),
    ],
)
def test_numbers_for_people(function: str, value: float, expected: str) -> None:
    assert rendered(f"{{{{ {function} $value }}}}", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (123456789.0, "123456789"),
        (1e-5, "1e-05"),
        (0.0001, "0.0001"),
        (-0.5, "-0.5"),
        (1.5e300, "1.5e+300"),
        (float("-inf"), "-Inf"),
    ],
)
def test_a_value_prints_as_go_prints_a_float64(value: float, expected: str) -> None:
    assert rendered("{{ $value }}", value) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ $value", "not closed"),
        ("{{ nothing $value }}", "'nothing' is not defined"),
        ("{{ $labls.host }}", "'\\$labls.host' is not known"),
        ("{{ $value.x }}", "no such field"),
        ("{{ humanize }}", "humanize takes 1"),
        ('{{ query "up" }}', "'query' is not supported"),
        ("{{ tableLink `up` }}", "'tableLink' is not supported"),
        ("{{ range $labels }}{{ end }}", "'range' is not supported"),
        ("{{ $x := 1 }}", "cannot be set"),
        ("{{ if $value }}x", "no end"),
        ("{{ end }}", "no if"),
        ("{{ ($value }}", "parenthesis"),
        ("{{ $value | 3 }}", "no function"),
        ("{{ }}", "missing"),
        ("{{ $value ? }}", "cannot be read"),
        ("{{ " + "(" * 99 + " }}", "nested"),
    ],
)
def test_what_is_no_template_is_refused(text: str, words: str) -> None:
    with pytest.raises(TemplateWrong, match=words):
        parse_template(text)


def test_output_is_bounded() -> None:
    assert len(rendered('{{ printf "%999s" "" }}' * 10)) == 4_096
    assert rendered('{{ printf "%99999s" "" }}') == "%!(BADWIDTH)"


def test_calls_within_calls_do_not_multiply_a_text_beyond_bounds() -> None:
    nested = "$labels.host"
    for _ in range(20):
        nested = f'(reReplaceAll "." "$0$0$0$0$0$0$0$0$0$0" {nested})'
    assert rendered("{{ " + nested + " }}") == (
        "<error expanding template: the text that reReplaceAll makes is too long>"
    )
    whole = '(reReplaceAll "(?s).*" "' + "$0" * 1_000 + '" (printf "%999s" "a"))'
    assert "too long" in rendered("{{ " + whole + " }}")
    piped = " | ".join(['"a"', *['printf "%x"'] * 40])
    assert "the text that printf makes is too long" in rendered("{{ " + piped + " }}")
