"""Claims about pins of Go modules, and about what is copied out of one."""

import shutil
import subprocess

import pytest
from tests.cluster.golang import Go
from tests.cluster.modules import ModuleFolder, ModuleProgram
from tests.cluster.steps import step

PIN = ("example.com/tool", "v1.2.3", "h1:abc=")
MAIN = 'package main\n\nimport "example.com/tool/words"\n\nfunc main() { println(words.First) }\n'


class Source:
    """In the place of Go's module cache: a folder of ours, read-only as the cache is."""

    def __init__(self, folder):
        (folder / "words").mkdir(parents=True)
        (folder / "go.mod").write_text("module example.com/tool\n\ngo 1.21\n")
        (folder / "words" / "words.go").write_text('package words\n\nconst First = "built"\n')
        for path in (folder / "words" / "words.go", folder / "words"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        self.folder = folder

    def module(self, path, version, checksum):
        assert (path, version, checksum) == PIN
        return self.folder


def test_a_folder_is_copied_under_its_last_name_and_can_be_removed(tmp_path):
    wanted = ModuleFolder(*PIN, folders=("words",))
    with step("words") as shown:
        wanted.make(Source(tmp_path / "source"), tmp_path / "place", shown)
    assert (tmp_path / "place" / "words" / "words.go").stat().st_mode & 0o200
    (tmp_path / "place" / "words" / "words.go").unlink()


def test_a_change_of_our_main_is_another_pin(tmp_path):
    main = tmp_path / "main.go"
    main.write_text(MAIN)
    wanted = ModuleProgram(*PIN, package="./luna", main=main)
    before = str(wanted)
    main.write_text(MAIN.replace("println", "print"))
    assert str(wanted) != before
    assert str(ModuleProgram(*PIN, package="./luna")) != before


@pytest.mark.skipif(shutil.which("go") is None, reason="the machine has no Go")
def test_a_program_is_built_of_the_modules_own_files_with_our_main(tmp_path):
    class LocalGo(Go):
        module = Source.module
        folder = Source(tmp_path / "source").folder

    main = tmp_path / "main.go"
    main.write_text(MAIN)
    with step("the program") as shown:
        ModuleProgram(*PIN, package="./luna", main=main).make(LocalGo(tmp_path / "go"), tmp_path / "program", shown)
    said = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=True).stderr
    assert said == "built\n"
    assert not list(tmp_path.glob("tmp*"))
