"""Claims about the machine's settings: they are after a node what they were before."""

import pytest
from tests.cluster.node import sysctls


@pytest.fixture
def machine(tmp_path):
    folder = tmp_path / "sys"
    for name, value in {"kernel/panic": "0", "vm/overcommit_memory": "0", "vm/panic_on_oom": "0"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{value}\n")
    return folder


def test_what_a_kubelet_changed_is_put_back(machine, tmp_path):
    before = sysctls.read(machine)
    sysctls.save(tmp_path / "saved", machine)
    (machine / "kernel/panic").write_text("10\n")
    (machine / "vm/overcommit_memory").write_text("1\n")

    sysctls.restore(tmp_path / "saved", machine)

    assert sysctls.read(machine) == before
    assert not (tmp_path / "saved").exists()


def test_a_run_after_an_interrupted_one_keeps_what_the_first_saved(machine, tmp_path):
    before = sysctls.read(machine)
    sysctls.save(tmp_path / "saved", machine)
    (machine / "kernel/panic").write_text("10\n")
    sysctls.save(tmp_path / "saved", machine)

    sysctls.restore(tmp_path / "saved", machine)

    assert sysctls.read(machine) == before


def test_what_was_not_saved_is_left_as_it_is(machine, tmp_path):
    (machine / "kernel/panic").write_text("10\n")
    sysctls.restore(tmp_path / "saved", machine)
    assert sysctls.read(machine)["kernel/panic"] == "10"
