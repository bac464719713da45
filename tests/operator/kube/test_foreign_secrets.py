"""Anybody who may write Secrets may put Luna's label on them: they cost the operator no memory."""

import uuid
from base64 import b64encode

from luna_operator.kube.secrets import LONGEST, Secret
from luna_operator.resources.names import ACCOUNT_LABEL, MANAGED_BY

MEGABYTE = b64encode(b"x" * 2**20).decode()


def secret(data: dict[str, str], **labels: str) -> Secret:
    metadata = {"namespace": "team", "name": "large", "uid": str(uuid.uuid4()), "labels": labels}
    return Secret.parse({"metadata": metadata, "data": data})


def test_of_a_secret_no_more_is_kept_than_what_is_ours() -> None:
    ours = {name: b64encode(name.encode()).decode() for name in ("api-key", "account-id", "url")}
    kept = secret({**ours, "model.bin": MEGABYTE}, **{MANAGED_BY: "luna-operator", ACCOUNT_LABEL: "u", "app": "x"})
    assert kept.data == {"api-key": "api-key", "account-id": "account-id", "url": "url"}
    assert kept.labels == {MANAGED_BY: "luna-operator", ACCOUNT_LABEL: "u"}


def test_a_megabyte_under_our_name_is_not_kept_either() -> None:
    assert secret({"api-key": MEGABYTE}).data == {}
    assert secret({"url": b64encode(b"x" * (LONGEST // 4 * 3)).decode()}).data == {"url": "x" * (LONGEST // 4 * 3)}
