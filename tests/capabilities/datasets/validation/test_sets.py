"""Claims about sets: what is wrong between files is found, and the report is one for laptop and job."""

import gzip

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from luna_serving.capabilities.datasets.validation.check import RULES, TABLE_PRELOAD, check_set
from luna_serving.capabilities.datasets.validation.contract import SetType
from luna_serving.capabilities.datasets.validation.contract_reading import contract_of
from luna_serving.capabilities.datasets.validation.manifest import SetFile, sha256_of
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox

CONTRACT = contract_of(SetType.SERIES, {"time_column": "ts", "series_column": "shop", "value_columns": ["y"]})


@pytest.fixture(scope="module")
async def sandbox():
    async with Sandbox(preload=TABLE_PRELOAD) as sandbox:
        yield sandbox


def rows(shop: str, first: int, last: int, header: str = "ts,shop,y", more: str = "") -> str:
    return "\n".join([header, *(f"2024-01-{d:02},{shop},{d % 5}.5{more}" for d in range(first, last + 1))]) + "\n"


async def report_of(sandbox, folder, texts: dict[str, str], contract=CONTRACT):
    files = []
    for name, text in texts.items():
        file = folder / f"{len(files)}"
        file.write_text(text)
        files.append(SetFile(name, file, file.stat().st_size, sha256_of(file)))
    return await check_set(files, contract, sandbox=sandbox)


def ids(report, severity="error"):
    return sorted({finding.id for finding in report.findings if finding.severity == severity})


async def test_files_of_one_panel_are_valid_together(sandbox, tmp_path):
    report = await report_of(
        sandbox, tmp_path, {"a.csv": rows("a", 1, 15), "b.csv": rows("b", 1, 31), "a2.csv": rows("a", 16, 31)}
    )
    assert report.valid
    assert report.summary == {
        "files": 3,
        "bytes": sum(file.bytes for file in report.files),
        "rows": 62,
        "series": 2,
        "start": "2024-01-01",
        "end": "2024-01-31",
        "frequency": "D",
        "shortest": 31,
        "longest": 31,
    }
    assert "SET007" not in ids(report, "warning")


@pytest.mark.parametrize(
    ("texts", "rule", "paths"),
    [
        ({}, "SET003", ()),
        ({"../a.csv": rows("a", 1, 20)}, "SET001", ()),
        ({"a.csv": rows("a", 1, 20), "A.csv": rows("b", 1, 20)}, "SET002", ("a.csv", "A.csv")),
        (
            {"a.csv": rows("a", 1, 20), "b.csv": rows("b", 1, 20), "c.csv": rows("c", 1, 20, "ts,shop,y,z", ",1")},
            "SET004",
            ("c.csv",),
        ),
        ({"a.csv": rows("a", 1, 20), "b.csv": rows("a", 15, 28)}, "SET005", ("a.csv", "b.csv")),
        ({"a.csv": rows("a", 1, 20), "b.csv": rows("a", 1, 20)}, "SET006", ("a.csv", "b.csv")),
    ],
)
async def test_faults_between_files_are_errors_that_name_them(sandbox, tmp_path, texts, rule, paths):
    report = await report_of(sandbox, tmp_path, texts)
    [finding] = [finding for finding in report.findings if finding.id == rule]
    assert not report.valid
    assert finding.paths == paths
    assert finding.remedy


async def test_an_unbalanced_panel_and_other_frequencies_are_warnings(sandbox, tmp_path):
    weekly = "\n".join(["ts,shop,y", *(f"2024-0{m}-{d:02},w,{d}.5" for m in (1, 2) for d in (1, 8, 15, 22))]) + "\n"
    report = await report_of(sandbox, tmp_path, {"a.csv": rows("a", 1, 31), "b.csv": rows("b", 5, 31), "w.csv": weekly})
    assert report.valid
    assert {"SET007", "SET009"} <= set(ids(report, "warning"))


async def test_the_digest_depends_on_names_contents_and_contract_and_on_nothing_else(sandbox, tmp_path):
    texts = {"a.csv": rows("a", 1, 20), "b.csv": rows("b", 1, 20)}
    first = await report_of(sandbox, tmp_path, texts)
    again = await report_of(sandbox, tmp_path, dict(reversed(texts.items())))
    renamed = await report_of(sandbox, tmp_path, {"a.csv": texts["a.csv"], "c.csv": texts["b.csv"]})
    other = contract_of(
        SetType.SERIES, {"time_column": "ts", "series_column": "shop", "value_columns": ["y"], "frequency": "D"}
    )
    contracted = await report_of(sandbox, tmp_path, texts, other)
    assert first.digest == again.digest
    assert len({first.digest, renamed.digest, contracted.digest}) == 3


async def test_every_form_of_a_table_gives_the_same_summary(sandbox, tmp_path):
    text = rows("a", 1, 31).encode()
    table = arrow_csv.read_csv(pa.BufferReader(text))
    (tmp_path / "a.csv").write_bytes(text)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(text))
    with pa.CompressedOutputStream(str(tmp_path / "c.csv.zst"), "zstd") as stream:
        stream.write(text)
    pq.write_table(table, tmp_path / "d.parquet")
    feather.write_feather(table, tmp_path / "e.feather", compression="zstd")
    with pa.ipc.new_stream(str(tmp_path / "f.arrow"), table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "g.csv").write_bytes(text.replace(b",", b";").replace(b"\n", b"\r\n"))
    (tmp_path / "h.csv").write_bytes(b"\xef\xbb\xbf" + text)
    (tmp_path / "i.tsv").write_bytes(text.replace(b",", b"\t"))
    seen = set()
    for file in sorted(tmp_path.iterdir()):
        report = await check_set([SetFile(file.name, file, 1, sha256_of(file))], CONTRACT, sandbox=sandbox)
        assert report.valid, (file.name, [*report.findings])
        assert list(report.findings) == []
        seen.add(tuple(value for key, value in report.summary.items() if key != "bytes"))
    assert len(seen) == 1


async def test_a_report_is_json_with_what_the_contract_of_the_api_names(sandbox, tmp_path):
    report = (await report_of(sandbox, tmp_path, {"a.csv": rows("a", 1, 31) + "2024-01-31,a,1\n"})).to_json()
    assert report["state"] == "invalid"
    [duplicate] = [finding for finding in report["findings"] if finding["id"] == "TS003"]
    assert (duplicate["path"], duplicate["row"], duplicate["count"]) == ("a.csv", 31, 1)
    assert {"severity", "message", "remedy"} <= set(duplicate)
    assert {"coverage", "readiness", "digest", "counts", "files", "summary", "contract"} <= set(report)


def test_ids_of_rules_are_unique_and_have_the_public_form():
    assert len({rule.id for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.id.rstrip("0123456789") in {"TBL", "TS", "VAL", "SET", "DCM", "PHI", "PIX"}
        assert rule.id[-3:].isdigit()
        assert rule.title
        assert rule.remedy.endswith(".")


async def test_many_files_are_checked_by_one_interpreter_and_its_forks(sandbox, tmp_path):
    count = 60
    report = await report_of(sandbox, tmp_path, {f"{i}.csv": rows(f"s{i}", 1, 28) for i in range(count)})
    assert report.valid
    assert report.summary["series"] == count
