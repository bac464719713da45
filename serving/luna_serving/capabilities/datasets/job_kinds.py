"""The kind of job that validates a set. Its route creates it; callers cannot."""

from luna_serving.capabilities.datasets.judging.judge import Judge
from luna_serving.capabilities.datasets.judging.sandboxes import Sandboxes
from luna_serving.capabilities.datasets.metrics import ValidationMetrics
from luna_serving.capabilities.datasets.settings import DatasetsSettings
from luna_serving.capabilities.datasets.uploads.service import VALIDATION
from luna_serving.jobs.kinds import JobKind
from luna_serving.telemetry.read_gauges import Once


def job_kinds(settings: DatasetsSettings) -> tuple[JobKind, ...]:
    """The kinds of jobs."""
    judge = Judge(settings.files_at_once, Sandboxes(settings.validators), Once(ValidationMetrics))
    return (
        JobKind(
            VALIDATION,
            "Validates a data set whose files are uploaded: `POST /upload/complete` creates it.",
            judge.run,
            public=False,
        ),
    )
