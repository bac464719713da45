"""Claims about `luna data check`: the verdict of a set of files on this machine, by exit status, table and JSON."""

import json

import orjson
import pytest

from luna_serving.cli import main

DAYS = [f"2024-01-{day:02}" for day in range(1, 31)]


def table(*changes: tuple[int, str], header: str = "date,shop,sales") -> str:
    rows = [f"{day},{shop},{i % 7 + 0.5}" for shop in ("north", "south") for i, day in enumerate(DAYS)]
    for at, row in changes:
        rows[at] = row
    return "\n".join([header, *rows]) + "\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set" / "more").mkdir(parents=True)
    (tmp_path / "set" / "a.csv").write_text(table())
    (tmp_path / "set" / ".hidden").write_text("not part of the set")
    return tmp_path / "set"


def report_of(capsys, *arguments: str) -> tuple[int, dict]:
    status = main(["data", "check", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_a_valid_folder_is_0_and_the_guesses_are_said(folder, capsys):
    assert main(["data", "check", str(folder)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Guessed: Time column 'date'" in out
    assert "Series column 'shop'" in out
    assert "Value columns sales" in out
    assert "valid: 1 files, 60 rows, 2 series" in out


def test_an_invalid_folder_is_1_and_names_file_row_rule_and_remedy(folder, capsys):
    (folder / "more" / "b.csv").write_text(table((40, "2024-01-11,south,oops")).replace("2024-", "2025-"))
    assert main(["data", "check", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "TBL006" in out
    assert "40" in out
    status, report = report_of(capsys, str(folder))
    assert status == 1
    [finding] = [each for each in report["findings"] if each["severity"] == "error"]
    assert (finding["path"], finding["row"], finding["column"], finding["value"]) == ("more/b.csv", 40, "sales", "oops")


def test_bars_are_recognised_by_their_columns(tmp_path, capsys):
    rows = [f"{day},X,10,12,9,11,{i}" for i, day in enumerate(DAYS)]
    (tmp_path / "bars.csv").write_text("\n".join(["Date,Symbol,Open,High,Low,Close,Volume", *rows]) + "\n")
    status, report = report_of(capsys, str(tmp_path))
    assert status == 0
    assert report["type"] == "ohlcv"
    assert report["contract"]["open"] == "Open"


def test_a_contract_is_taken_from_a_file(folder, tmp_path, capsys):
    contract = tmp_path / "contract.json"
    contract.write_bytes(
        orjson.dumps(
            {"time_column": "date", "series_column": "shop", "value_columns": ["sales"], "ranges": {"sales": [0, 5]}}
        )
    )
    status, report = report_of(capsys, str(folder), "--contract", str(contract), "--type", "series")
    assert status == 1
    assert [each["id"] for each in report["findings"] if each["severity"] == "error"] == ["VAL005"]
    assert report["guessed"] == []


def test_every_finding_goes_to_a_file_of_lines(folder, tmp_path, capsys):
    for i in range(30):
        (folder / f"{i}.csv").write_text("nothing\n")
    report_of(capsys, str(folder), "--all", str(tmp_path / "all.ndjson"))
    lines = [json.loads(line) for line in (tmp_path / "all.ndjson").read_text().splitlines()]
    assert len([line for line in lines if line["id"] == "TBL005" and line["column"] == "date"]) == 30


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (["nowhere"], "Give a folder or files"),
        (["{set}", "--contract", "nowhere.json"], "cannot be read"),
        (["{set}", "--contract", "{bad}"], "--type"),
        (["{set}", "--contract", "{bad}", "--type", "series"], "/time_column is required"),
        (["{set}/more"], "holds no files"),
        (["{text}"], "--contract"),
    ],
)
def test_misuse_is_2_and_says_the_cure(folder, tmp_path, capsys, arguments, cure):
    (tmp_path / "bad.json").write_text('{"value_columns": ["y"]}')
    (tmp_path / "text.csv").write_text("a,b\nx,y\n")
    places = {"set": folder, "bad": tmp_path / "bad.json", "text": tmp_path / "text.csv"}
    assert main(["data", "check", *(each.format(**places) for each in arguments)]) == 2
    assert cure in capsys.readouterr().err


def test_an_unknown_type_is_2(folder):
    with pytest.raises(SystemExit) as stopped:
        main(["data", "check", str(folder), "--type", "movies"])
    assert stopped.value.code == 2


def test_a_page_for_a_browser_is_written_beside_the_report(folder, tmp_path, capsys):
    page = tmp_path / "report.html"
    assert main(["data", "check", str(folder), "--html", str(page)]) == 0
    assert "valid: 1 files" in capsys.readouterr().out
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert "<h1>set" in text
    assert "The set can be uploaded" in text
    assert "What can use the set, and with which parameters" in text
    assert "luna data check --all FILE" in text
