"""Requests to a real API server: what comes back, and as which error."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.kubernetes import Kubernetes, kubeconfig
from tests.operator.kube.conftest import Requests, connected

from luna_operator.kube.client import PAGE, ApiError, ApiServer, ApiUnavailable, Conflict, NotFound, _answer, _resource
from luna_serving.local.data_folder.ports import LOOPBACK, free_port

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = "00000000-0000-4000-8000-000000000000"


def config_map(name: str | None = None, **data: str) -> dict[str, Any]:
    name = name or f"c{secrets.token_hex(4)}"
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.fixture(scope="module")
def folder(place: str) -> str:
    """The path of the namespace's ConfigMaps: plain objects that no controller changes."""
    return f"/api/v1/namespaces/{place}/configmaps"


async def test_what_was_created_is_read_back(api: ApiServer, folder: str) -> None:
    made = await api.create(folder, config_map(key="wert"), fieldManager="luna-operator")
    path = f"{folder}/{made['metadata']['name']}"
    assert await api.get(path) == made
    assert made["data"] == {"key": "wert"}
    assert [entry["manager"] for entry in made["metadata"]["managedFields"]] == ["luna-operator"]


class TestErrors:
    """Each error is named after what a caller can do about it."""

    async def test_what_is_not_there_is_not_found(self, api: ApiServer, folder: str) -> None:
        with pytest.raises(NotFound, match=r'^404 NotFound: configmaps "nobody" not found$') as refused:
            await api.get(f"{folder}/nobody")
        assert (refused.value.status, refused.value.reason) == (404, "NotFound")
        with pytest.raises(NotFound):
            await api.merge(f"{folder}/nobody", {"data": {}})

    @pytest.mark.parametrize("path", ["/nonsense", "/apis/nobody.example/v1/things"])
    async def test_a_path_that_nobody_serves_is_not_found_though_its_answer_is_no_json(
        self, api: ApiServer, path: str
    ) -> None:
        with pytest.raises(NotFound):
            await api.get(path)

    async def test_a_name_that_is_taken_is_a_conflict(self, api: ApiServer, folder: str) -> None:
        body = config_map(key="first")
        await api.create(folder, body)
        with pytest.raises(Conflict) as refused:
            await api.create(folder, {**body, "data": {"key": "second"}})
        assert refused.value.reason == "AlreadyExists"
        assert (await api.get(f"{folder}/{body['metadata']['name']}"))["data"] == {"key": "first"}

    async def test_an_object_that_changed_meanwhile_is_a_conflict(self, api: ApiServer, folder: str) -> None:
        seen = await api.create(folder, config_map(key="seen"))
        path, version = f"{folder}/{seen['metadata']['name']}", seen["metadata"]["resourceVersion"]
        await api.merge(path, {"data": {"key": "changed"}})
        with pytest.raises(Conflict):
            await api.merge(path, {"metadata": {"resourceVersion": version}, "data": {"key": "mine"}})
        assert (await api.get(path))["data"] == {"key": "changed"}

    async def test_another_object_of_the_name_is_a_conflict(self, api: ApiServer, folder: str) -> None:
        body = config_map(key="other's")
        await api.create(folder, body)
        path = f"{folder}/{body['metadata']['name']}"
        ours = {**body, "metadata": {**body["metadata"], "uid": NOBODY}, "data": {"key": "mine"}}
        with pytest.raises(Conflict):
            await api.merge(path, {"metadata": {"uid": NOBODY}, "data": {"key": "mine"}})
        with pytest.raises(Conflict):
            await api.apply(path, ours, manager="luna-operator")
        assert (await api.get(path))["data"] == {"key": "other's"}

    async def test_an_apply_with_a_uid_never_creates(self, api: ApiServer, folder: str) -> None:
        body = config_map(key="mine")
        path = f"{folder}/{body['metadata']['name']}"
        with pytest.raises(Conflict):
            await api.apply(path, {**body, "metadata": {**body["metadata"], "uid": NOBODY}}, manager="luna-operator")
        with pytest.raises(NotFound):
            await api.get(path)

    async def test_what_the_schema_refuses_is_told_in_the_servers_words(self, api: ApiServer, place: str) -> None:
        body = {"apiVersion": "luna.dev/v1", "kind": "Account", "metadata": {"name": "acme"}, "spec": {"quota": 5}}
        with pytest.raises(ApiError, match=r"spec\.quota") as refused:
            await api.create(f"/apis/luna.dev/v1/namespaces/{place}/accounts", body)
        assert not isinstance(refused.value, NotFound | Conflict)
        assert refused.value.status == 422

    async def test_a_right_that_is_missing_is_neither_a_conflict_nor_an_outage(
        self, luna_cluster: Kubernetes, place: str, observed: Requests
    ) -> None:
        luna_cluster.kubectl("create", "serviceaccount", "nobody", "--namespace", place)
        access = luna_cluster.service_account_kubeconfig(place, "nobody")
        nobody = await ApiServer.connect(lambda *request: observed.append(request), kubeconfig=access)
        try:
            with pytest.raises(ApiError, match=r"secrets is forbidden") as refused:
                await nobody.get(f"/api/v1/namespaces/{place}/secrets")
        finally:
            await nobody.close()
        assert (type(refused.value), refused.value.status) == (ApiError, 403)

    async def test_a_service_behind_the_server_that_is_away_is_an_outage(self, api: ApiServer, place: str) -> None:
        """Its answer is no JSON."""
        service = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1.away.luna.example"},
            "spec": {
                "group": "away.luna.example",
                "version": "v1",
                "groupPriorityMinimum": 1,
                "versionPriority": 1,
                "insecureSkipTLSVerify": True,
                "service": {"name": "away", "namespace": place},
            },
        }
        services = "/apis/apiregistration.k8s.io/v1/apiservices"
        await api.create(services, service)
        try:
            async with asyncio.timeout(10):
                while True:
                    try:
                        await api.get("/apis/away.luna.example/v1/things")
                    except NotFound:
                        # The server takes a moment to hear of it.
                        await asyncio.sleep(0.05)
                    except ApiUnavailable as outage:
                        told = str(outage)
                        break
        finally:
            await api._request("DELETE", "delete", f"{services}/v1.away.luna.example", {})
        assert told.startswith("503 ")

    async def test_a_server_that_does_not_answer_is_an_outage(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config, seen = tmp_path / "kubeconfig", Requests()
        config.write_text(kubeconfig({"server": f"http://{LOOPBACK}:{free_port()}"}, "token"))
        monkeypatch.setenv("KUBECONFIG", str(config))
        nobody = await ApiServer.connect(lambda *request: seen.append(request))
        try:
            with pytest.raises(ApiUnavailable, match=r"^GET /api/v1/secrets: "):
                await nobody.get("/api/v1/secrets")
        finally:
            await nobody.close()
        assert seen == [("get", "secrets", "error")]

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, ApiError),
            (401, ApiError),
            (403, ApiError),
            (404, NotFound),
            (409, Conflict),
            (410, Conflict),
            (422, ApiError),
            (429, ApiUnavailable),
            (500, ApiUnavailable),
            (503, ApiUnavailable),
            (504, ApiUnavailable),
        ],
    )
    @pytest.mark.parametrize("content", [json.dumps({"reason": "Why", "message": "What."}), "plain", ""], ids=repr)
    def test_a_status_is_one_error_whatever_the_answer_holds(
        self, status: int, error: type[Exception], content: str
    ) -> None:
        with pytest.raises(error) as refused:
            _answer(status, content.encode())
        assert type(refused.value) is error
        assert str(refused.value).startswith(f"{status} ")


class TestPages:
    """A list comes in pages, each object once."""

    MADE = 520
    FULL, REST = divmod(MADE, PAGE)

    @pytest.fixture(scope="class")
    @classmethod
    async def names(cls, api: ApiServer, folder: str) -> set[str]:
        bodies = [config_map(f"page-{number:03}") for number in range(cls.MADE)]
        for body in bodies:
            body["metadata"]["labels"] = {"made-for": "pages"}
        await asyncio.gather(*(api.create(folder, body) for body in bodies))
        return {body["metadata"]["name"] for body in bodies}

    @pytest.mark.parametrize(
        ("query", "sizes"), [({}, [PAGE] * FULL + [REST]), ({"limit": "150"}, [150, 150, 150, 70])]
    )
    async def test_more_objects_than_a_page_holds_come_each_once(
        self,
        api: ApiServer,
        folder: str,
        names: set[str],
        observed: Requests,
        query: dict[str, str],
        sizes: list[int],
    ) -> None:
        before = len(observed)
        found = [page async for page in api.pages(folder, labelSelector="made-for=pages", **query)]
        assert [len(page) for page in found] == sizes
        assert sorted(item["metadata"]["name"] for page in found for item in page) == sorted(names)
        assert observed[before:] == [("list", "configmaps", "200")] * len(sizes)

    async def test_what_comes_while_a_list_is_read_is_not_half_in_it(
        self, api: ApiServer, folder: str, names: set[str]
    ) -> None:
        found = []
        async for page in api.pages(folder, labelSelector="made-for=pages", limit="200"):
            found += [item["metadata"]["name"] for item in page]
            if len(found) == 200:
                late = config_map("page-zzz")
                late["metadata"]["labels"] = {"made-for": "pages"}
                await api.create(folder, late)
        assert sorted(found) == sorted(names)
        await api._request("DELETE", "delete", f"{folder}/page-zzz", {})

    async def test_a_list_of_nothing_is_one_empty_page(self, api: ApiServer, folder: str) -> None:
        assert [page async for page in api.pages(folder, labelSelector="made-for=nobody")] == [[]]

    async def test_a_list_that_cannot_be_continued_ends_with_an_error(self, api: ApiServer, folder: str) -> None:
        with pytest.raises(ApiError, match="continue"):
            [page async for page in api.pages(folder, **{"continue": "nonsense"})]


async def test_an_apply_takes_a_field_from_whoever_changed_it_and_leaves_the_rest(api: ApiServer, folder: str) -> None:
    body = config_map(ours="1")
    path = f"{folder}/{body['metadata']['name']}"
    await api.apply(path, body, manager="luna-operator")
    await api.merge(path, {"data": {"ours": "edited", "theirs": "1"}}, fieldManager="somebody")
    after = await api.apply(path, body, manager="luna-operator")
    assert after["data"] == {"ours": "1", "theirs": "1"}


async def test_a_query_is_quoted(api: ApiServer, folder: str) -> None:
    body = config_map(key="1")
    body["metadata"]["labels"] = {"team": "a", "part": "b"}
    made = await api.create(folder, body)
    [page] = [page async for page in api.pages(folder, labelSelector="team in (a,c), part!=c")]
    assert [item["metadata"]["name"] for item in page] == [made["metadata"]["name"]]


async def test_every_request_is_observed_with_its_verb_its_resource_and_its_code(
    luna_cluster: Kubernetes, place: str, folder: str
) -> None:
    seen = Requests()
    async with connected(luna_cluster, seen) as api:
        body = config_map(key="1")
        path = f"{folder}/{body['metadata']['name']}"
        await api.create(folder, body)
        await api.get(path)
        await api.merge(path, {"data": {"key": "2"}})
        await api.apply(path, body, manager="luna-operator")
        [_ async for _ in api.pages("/apis/luna.dev/v1/tiers", limit="1")]
        for refused in (api.create(folder, body), api.get(f"{folder}/nobody")):
            with pytest.raises(ApiError):
                await refused
    assert [request for request in seen if request[1] != "tiers"] == [
        ("create", "configmaps", "201"),
        ("get", "configmaps", "200"),
        ("patch", "configmaps", "200"),
        ("apply", "configmaps", "200"),
        ("create", "configmaps", "409"),
        ("get", "configmaps", "404"),
    ]
    assert ("list", "tiers", "200") in seen


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/secrets", "secrets"),
        ("/api/v1/namespaces/team/secrets", "secrets"),
        ("/api/v1/namespaces/team/secrets/acme-luna-key", "secrets"),
        ("/api/v1/namespaces/team", "namespaces"),
        ("/apis/luna.dev/v1/accounts", "accounts"),
        ("/apis/luna.dev/v1/namespaces/team/accounts/acme", "accounts"),
        ("/apis/luna.dev/v1/namespaces/team/accounts/acme/status", "accounts/status"),
        ("/apis/luna.dev/v1/tiers/pro/status", "tiers/status"),
        ("/apis/events.k8s.io/v1/namespaces/team/events", "events"),
    ],
)
def test_a_path_is_counted_by_its_kind_and_never_by_its_name(path: str, resource: str) -> None:
    assert _resource(path) == resource
