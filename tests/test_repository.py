"""Claims about the repository's frame: what a clone holds, and that its make targets and pins fit the rest."""

import ast
import os
import re
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
README = (ROOT / "README.md").read_text()

LOCK_FILES = ("*.lock", "pylock*.toml", "package-lock.json", "conda-lock.yml", "*.lockb")
# Where a package client would be sent: an archive's address, or an index other than the machine's own.
DOWNLOADS = re.compile(r"https?://\S+\.(?:whl|tar\.\w+|tgz|zip|deb|crate|jar)\b|--(?:extra-)?index-url[ =]\w")

PLATFORMS = [
    {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": system, "platform_machine": arch}
    for python in ("3.11", "3.12", "3.13")
    for system, arch in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
]

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def files_of_the_repository() -> Iterator[Path]:
    """Every file that git does not ignore, relative to the root; also where the tree came without git."""
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split() if not line.startswith("#")]
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name != ".git" and not any(fnmatch(name, i) for i in ignored)]
        for name in names:
            if not any(fnmatch(name, pattern) for pattern in ignored):
                yield (Path(folder) / name).relative_to(ROOT)


def requirements(*, extras: set[str]) -> list[Requirement]:
    """Return what pyproject.toml asks for, with these extras."""
    project = PYPROJECT["project"]
    optional = [line for extra in sorted(extras) for line in project["optional-dependencies"][extra]]
    return [Requirement(line) for line in project["dependencies"] + optional]


def pins() -> list[Requirement]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


def fenced_blocks(text: str) -> list[str]:
    return re.findall(r"^ *```[^\n]*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


def code_of(text: str) -> list[str]:
    """Return the lines of a page's fenced blocks, and its code spans."""
    blocks = fenced_blocks(text)
    for block in blocks:
        text = text.replace(block, "")
    return [line.strip() for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", text)


def folders_of_the_map(text: str) -> list[Path]:
    """Return the folders of fenced blocks that draw a tree: a line `name/  what it is` under its parent's line."""
    folders = []
    for block in fenced_blocks(text):
        parents: list[tuple[int, Path]] = []
        for line in block.splitlines():
            if entry := re.match(r"([\s│├└─|`-]*)((?:[\w.-]+/)+)(?=\s|$)", line):
                depth = len(entry[1])
                parents = [(indent, path) for indent, path in parents if indent < depth]
                path = (parents[-1][1] if parents else Path()) / entry[2]
                parents.append((depth, path))
                folders.append(path)
    return folders


@pytest.mark.parametrize("folder", ["operator", "tests/operator"])
def test_the_operators_folders_do_not_shadow_the_standard_librarys_operator(folder):
    assert not (ROOT / folder / "__init__.py").exists()


def test_no_file_locks_download_addresses():
    files = list(files_of_the_repository())
    assert [f for f in files if any(fnmatch(f.name, pattern) for pattern in LOCK_FILES)] == []
    texts = {f: (ROOT / f).read_text(errors="ignore") for f in files}
    assert {f: match[0] for f, text in texts.items() if (match := DOWNLOADS.search(text))} == {}


def test_the_pins_hold_no_index_lines_and_say_how_they_are_renewed():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert lines[0].startswith("#")
    assert "make pins" in lines[1]
    assert [line for line in lines if "://" in line or line.startswith("-")] == []


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda p: "-".join(list(p.values())[1:]))
def test_the_pins_cover_every_dependency_of_every_extra_but_gpu_and_bench(platform):
    # A benchmark wants its peers at their newest; it prints their versions.
    extras = set(PYPROJECT["project"]["optional-dependencies"]) - {"gpu", "bench"}
    pinned: dict[str, list[str]] = {}
    for pin in pins():
        if pin.marker is None or pin.marker.evaluate(platform):
            [exactly] = pin.specifier
            assert exactly.operator == "=="
            pinned.setdefault(canonicalize_name(pin.name), []).append(exactly.version)

    for wanted in requirements(extras=extras):
        if wanted.marker is None or wanted.marker.evaluate(platform):
            versions = pinned.get(canonicalize_name(wanted.name), [])
            assert len(versions) == 1, f"{wanted.name} is pinned to {versions}: run `make pins`"
            assert wanted.specifier.contains(versions[0], prereleases=True), f"{wanted}: run `make pins`"


def test_the_changelog_has_an_entry_for_the_version():
    sections = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]
    assert sections[0].startswith("[Unreleased]")
    version = PYPROJECT["project"]["version"]
    [section] = [section for section in sections if section.startswith(f"[{version}] - ")]
    assert re.search(r"^- \w", section, re.MULTILINE), f"{version} lists no change"


def test_no_module_holds_two_ideas():
    # House style 15: past 350 lines it does.
    packages = {"serving", "operator", "migrations"}
    modules = [f for f in files_of_the_repository() if f.parts[0] in packages and f.suffix in {".py", ".lua"}]
    lengths = {str(f): len((ROOT / f).read_text().splitlines()) for f in modules}
    assert {f: length for f, length in lengths.items() if length > 350} == {}


def test_every_package_says_what_belongs_in_it():
    packages = [f for f in files_of_the_repository() if f.name == "__init__.py" and f.parts[0] != "tests"]
    assert [f for f in packages if not ast.get_docstring(ast.parse((ROOT / f).read_text()))] == []


def test_the_readme_maps_folders_that_exist():
    folders = folders_of_the_map(README)
    assert folders, "the README draws no map: a fenced block with a line `folder/  what it is` for each"
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []


def test_the_map_leaves_no_folder_out():
    top = {f.parts[0] for f in files_of_the_repository() if len(f.parts) > 1 and not f.parts[0].startswith(".")}
    assert top - {folder.parts[0] for folder in folders_of_the_map(README)} == set()


def test_the_readmes_links_lead_somewhere():
    targets = re.findall(r"\]\((?!\w+:|#)([^)\s#]+)[^)]*\)", README)
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_readmes_make_targets_exist():
    calls = [call for code in code_of(README) if (call := re.match(r"(?:\$ )?make((?: [a-z][a-z-]*(?=\s|$))+)", code))]
    named = {target for call in calls for target in call[1].split()}
    assert {"up", "test"} <= named, "the README tells how to start Luna and how to test it"
    assert named - make_targets() == set()


def make_call(*arguments: str, programs: str = ".venv/bin") -> dict[str, Any]:
    """Return Popen's arguments for a make that takes the installation for done."""
    # Under `make test` the outer make's own flags would reach this one.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "ARGS"))}
    command = ["make", "-o", ".venv/installed", "-o", f"{programs}/python", f"BIN={programs}", *arguments]
    return {"args": command, "cwd": ROOT, "env": env, "text": True}


def printed_by_make(*arguments: str) -> str:
    return subprocess.run(**make_call(*arguments), check=True, capture_output=True).stdout


@needs_make
def test_make_help_tells_of_every_target():
    told = set(re.findall(r"^  make (\S+) +\S", printed_by_make(), re.MULTILINE))
    assert told == make_targets()


def test_no_file_can_hide_a_make_target():
    # `operator/` and `tests/` exist: a target of a file's name would count as done.
    [phony] = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert set(phony.split()) == make_targets()


@needs_make
@pytest.mark.parametrize(
    ("target", "arguments", "command"),
    [
        ("up", "--port 8123", "luna up --port 8123"),
        ("test", "tests/kalman -k nile", 'pytest -m "not slow" -n 2 tests/kalman -k nile'),
        ("test-slow", "-x", "pytest -m slow -x"),
        ("bench-http", "--help", "python -m benchmarks.http --help"),
        ("bench-statespace", "--quick", "python -m benchmarks.statespace --quick"),
    ],
)
def test_make_passes_its_arguments_on(target, arguments, command):
    # Before the tests comes the cluster that they need.
    assert printed_by_make("-n", target, f"ARGS={arguments}").splitlines()[-1] == f"exec .venv/bin/{command}"


@needs_make
def test_a_sigterm_to_make_reaches_luna(tmp_path):
    luna = tmp_path / "luna"
    luna.write_text(
        "#!/bin/sh\ntrap 'echo stopped; exit 0' TERM\necho started\nfor _ in $(seq 100); do sleep 0.1; done\n"
    )
    luna.chmod(0o755)
    call = make_call("up", programs=str(tmp_path))
    with subprocess.Popen(**call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as make:
        assert make.stdout is not None
        assert make.stdout.readline() == "started\n"
        make.send_signal(signal.SIGTERM)
        # Reads to the end: nothing that was started holds the pipe any more.
        assert make.stdout.read() == "stopped\n"
