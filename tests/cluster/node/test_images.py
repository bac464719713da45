"""Claims about names of images, about the base's release, and about what is missing on a machine."""

import pytest
from tests.cluster.node import base, images, packages
from tests.cluster.node.layout import Layout
from tests.cluster.node.shell import NodeError

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_CODENAME=bookworm\n'
UBUNTU = 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n'
MINT = 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble\n'


@pytest.fixture
def layout(tmp_path):
    layout = Layout(tmp_path)
    layout.programs.mkdir(parents=True)
    for name in ("pause", "kuberay-operator"):
        (layout.programs / name).write_text(name)
    return layout


def test_an_image_has_another_name_once_its_content_changes(layout):
    before = images.names(layout)
    assert images.names(layout) == before
    (layout.programs / "pause").write_text("another")
    after = images.names(layout)
    assert after.pause != before.pause
    assert (after.serving, after.kuberay, after.base) == (before.serving, before.kuberay, before.base)


def test_the_name_of_a_tag_is_no_number(layout):
    for name in vars(images.names(layout)).values():
        repository, _, tag = name.rpartition(":")
        assert repository.startswith("localhost/")
        assert tag[0].isalpha()


def test_what_compiled_python_leaves_behind_makes_no_other_image(tmp_path):
    package = tmp_path / "package"
    (package / "__pycache__").mkdir(parents=True)
    (package / "code.py").write_text("1")
    before = images._name("some", [package])
    (package / "__pycache__" / "code.pyc").write_text("compiled")
    assert images._name("some", [package]) == before
    (package / "code.py").write_text("2")
    assert images._name("some", [package]) != before


def test_only_earlier_content_of_the_nodes_own_images_is_removed(layout):
    wanted = images.names(layout)
    earlier = "localhost/luna-serving:c000000000000"
    there = [wanted.serving, earlier, "localhost/luna-serving-gpu:latest", "example.com/luna-serving:c1"]
    assert images.superseded(there, wanted) == [earlier]


@pytest.mark.parametrize(
    ("os_release", "found"),
    [
        (DEBIAN, ("bookworm", "main")),
        (UBUNTU, ("noble", "main,universe")),
        (MINT, ("noble", "main,universe")),
    ],
    ids=["debian", "ubuntu", "mint"],
)
def test_the_base_is_of_the_release_that_this_machine_runs(os_release, found):
    assert base.release(os_release) == found


def test_a_machine_without_debians_packages_is_refused():
    with pytest.raises(NodeError, match="neither Debian nor Ubuntu"):
        base.release('ID=fedora\nVERSION_CODENAME=""\n')


def test_packages_are_named_once_and_only_where_their_program_is_missing(tmp_path):
    (tmp_path / "there").touch()
    needed = {f"{tmp_path}/there": "present", f"{tmp_path}/a": "absent", f"{tmp_path}/b": "absent", "sh": "dash"}
    assert packages.missing(needed) == ["absent"]
