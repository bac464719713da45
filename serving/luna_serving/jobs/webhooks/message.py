"""The body of a message: the event's type and time, and the job as it was then, without its result."""

import orjson

from luna_serving.jobs.routes.wire import at_event
from luna_store.jobs.reading import Job
from luna_store.jobs.webhooks import Delivery


def body_of(delivery: Delivery, job: Job) -> bytes:
    """The body, the same at each try; JSON.

    Args:
        delivery: the message.
        job: as it is now: it may have been retried since.
    """
    message = {"type": delivery.event, "timestamp": delivery.created_at, "data": at_event(job, delivery.data)}
    return orjson.dumps(message, option=orjson.OPT_UTC_Z)
