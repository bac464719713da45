"""Counts what is left after all teams: verdicts, statuses, states, and bytes of quota against bytes in the bucket."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiobotocore.session
import numpy as np
import psycopg

from .teams import Outcome

STUCK = "SELECT count(*) FROM datasets WHERE state IN ('uploading', 'validating')"
QUOTA = """
SELECT (SELECT coalesce(sum(reserved_bytes), 0) FROM datasets) + (SELECT coalesce(sum(bytes), 0) FROM dataset_objects)
"""
# Seconds in which what was uploaded and is not kept goes away.
SWEPT_S = 90.0


async def counted(data_dir: Path, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The figures."""
    facts = dict(line.split("=", 1) for line in (data_dir / "env").read_text().splitlines() if "=" in line)
    statuses = Counter(status for outcome in outcomes for status in outcome.statuses)
    seconds = [s for outcome in outcomes for s in outcome.seconds]
    with psycopg.connect(facts["DATABASE_URL"]) as connection:
        stuck = connection.execute(STUCK).fetchone()
    assert stuck is not None
    quota, bucket = await _bytes(facts)
    return {
        "teams": len(outcomes),
        "sets": len(seconds),
        "right_verdicts": sum(wanted == state for outcome in outcomes for wanted, state in outcome.verdicts),
        "reports": sum(outcome.reports for outcome in outcomes),
        "answers": sum(statuses.values()),
        "answers_5xx": sum(count for status, count in statuses.items() if status >= 500),
        "stuck_sets": stuck[0],
        "sent_bytes": sum(outcome.sent_bytes for outcome in outcomes),
        "quota_bytes": quota,
        "bucket_bytes": bucket,
        "verdict_p50_s": float(np.quantile(seconds, 0.5)),
        "verdict_p95_s": float(np.quantile(seconds, 0.95)),
        "verdict_max_s": max(seconds),
    }


async def _bytes(facts: dict[str, str]) -> tuple[int, int]:
    """Bytes that count against the accounts, and bytes in the bucket, once they are equal or time is up."""
    ends_at = time.monotonic() + SWEPT_S
    while True:
        bucket = await _bucket_bytes(facts)
        with psycopg.connect(facts["DATABASE_URL"]) as connection:
            row = connection.execute(QUOTA).fetchone()
        assert row is not None
        if int(row[0]) == bucket or time.monotonic() > ends_at:
            return int(row[0]), bucket
        await asyncio.sleep(2.0)


async def _bucket_bytes(facts: dict[str, str]) -> int:
    session = aiobotocore.session.get_session()
    total = 0
    async with session.create_client(
        "s3",
        endpoint_url=facts["S3_ENDPOINT"],
        region_name=facts.get("S3_REGION", "us-east-1"),
        aws_access_key_id=facts["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=facts["S3_SECRET_ACCESS_KEY"],
    ) as client:
        async for page in client.get_paginator("list_objects_v2").paginate(Bucket=facts["S3_BUCKET"]):
            total += sum(entry["Size"] for entry in page.get("Contents", ()))
    return total


def expected(figures: dict[str, Any]) -> list[str]:
    """What is not as it should be."""
    wrong = []
    if figures["right_verdicts"] != figures["sets"]:
        wrong.append(f"{figures['sets'] - figures['right_verdicts']} verdicts are wrong")
    if figures["reports"] != figures["sets"]:
        wrong.append(f"{figures['sets'] - figures['reports']} reports are missing")
    if figures["answers_5xx"]:
        wrong.append(f"{figures['answers_5xx']} answers are 5xx")
    if figures["stuck_sets"]:
        wrong.append(f"{figures['stuck_sets']} sets are stuck")
    if figures["quota_bytes"] != figures["bucket_bytes"]:
        wrong.append(f"{figures['quota_bytes']} bytes are counted, {figures['bucket_bytes']} are in the bucket")
    return wrong
