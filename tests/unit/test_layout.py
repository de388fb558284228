"""The layout of the code: what may import what, how long a module may be, what loads when, what the wheel holds."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("listener", "nlp", "connectors", "index")
ADAPTERS = ("nlp", "connectors", "index")
KERNEL = ("listener.model", "listener.errors", "listener.secret", "listener.duration")
COMPOSITION_ROOT = "listener.app"
ENTRY_POINTS = re.compile(r"listener\.(web|demo|cli(_\w+)?)")
LONGEST = 350
# Lines of the modules that are longer: an entry may fall or go, none may rise or be added.
LONGER: dict[str, int] = {}
HEAVY = ("pandas", "pyarrow", "openpyxl", "spacy", "torch", "transformers", "onnxruntime", "apprise", "feedparser")


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {name_of(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text("utf8"))


@cache
def imports(name: str) -> frozenset[str]:
    """The modules that one imports anywhere in its text, in functions and for types too."""
    found: set[str] = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} line {node.lineno}: write the whole name of the module"
            of = node.module or ""
            # `from listener import web` names a module, `from listener.web import start` an object of one.
            found |= {inner if (inner := f"{of}.{alias.name}") in modules() else of for alias in node.names}
    return frozenset(found)


def top(name: str) -> str:
    return name.partition(".")[0]


ALL = sorted(name_of(path) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


# --- what may import what -------------------------------------------------------------------------


@pytest.mark.parametrize("name", KERNEL)
def test_the_kernel_imports_the_standard_library_and_itself_alone(name: str) -> None:
    foreign = {used for used in imports(name) if top(used) not in sys.stdlib_module_names and used not in KERNEL}
    assert not foreign


@pytest.mark.parametrize("name", [name for name in ALL if top(name) in ADAPTERS])
def test_an_adapter_imports_of_ours_the_kernel_and_its_own_package_alone(name: str) -> None:
    ours = {used for used in imports(name) if top(used) in PACKAGES and top(used) != top(name)}
    assert ours <= set(KERNEL)


def test_only_entry_points_import_the_composition_root() -> None:
    users = {name for name in ALL if COMPOSITION_ROOT in imports(name)}
    assert users, "nobody imports it: has it moved?"
    assert not {name for name in users if not ENTRY_POINTS.fullmatch(name)}


def test_only_entry_points_import_entry_points() -> None:
    users = {name for name in ALL if any(ENTRY_POINTS.fullmatch(used) for used in imports(name))}
    assert not {name for name in users if not ENTRY_POINTS.fullmatch(name)}


def test_imports_go_round_in_no_circle() -> None:
    """At load time: an import inside a function is allowed to close one."""
    loads = {name: {used for used in _loaded(tree(name).body) if used in modules()} for name in ALL}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for used in loads[name]:
                visit(used, (*way, name))
            done.add(name)

    for name in ALL:
        visit(name, ())


def _loaded(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules() else node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_the_first_package_is_an_empty_one() -> None:
    assert (ROOT / "listener/__init__.py").read_bytes() == b""


# --- how it is written ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_no_module_is_longer_than_a_person_reads_at_once(name: str) -> None:
    length = len(modules()[name].read_text("utf8").splitlines())
    assert length <= LONGER.get(name, LONGEST)


def test_the_list_of_longer_modules_only_shrinks() -> None:
    lengths = {name: len(modules()[name].read_text("utf8").splitlines()) for name in LONGER}
    assert not {name for name, length in lengths.items() if length <= LONGEST}, "take these off the list"


@pytest.mark.parametrize("name", [name for name in ALL if name != "listener"])
def test_every_public_name_has_a_docstring(name: str) -> None:
    assert not list(_undescribed(tree(name), name))


def _undescribed(node: ast.Module | ast.ClassDef, name: str) -> Iterator[str]:
    if not ast.get_docstring(node):
        yield name
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and not inner.name.startswith("_"):
            # The setter of a property is described by its getter.
            if not ast.get_docstring(inner) and not any(
                isinstance(mark, ast.Attribute) for mark in inner.decorator_list
            ):
                yield f"{name}.{inner.name}"
        elif isinstance(inner, ast.ClassDef) and not inner.name.startswith("_"):
            yield from _undescribed(inner, f"{name}.{inner.name}")


# --- what loads when ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "import listener.cli, listener.cli_parser",
        "import listener.cli; listener.cli.main(['version'])",
        "import listener.app, listener.web, listener.settings",
    ],
    ids=["the command line", "listener version", "the composition root"],
)
def test_heavy_packages_load_only_where_they_are_used(code: str) -> None:
    asked = f"{code}\nimport sys\nprint('\\nloaded:', *sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = set(done.stdout.rpartition("loaded:")[2].split())
    assert "listener" in loaded
    assert not loaded & set(HEAVY)


# --- the wheel ------------------------------------------------------------------------------------


def test_the_wheel_holds_every_package_and_data_file(tmp_path: Path) -> None:
    copied = tmp_path / "project"
    copied.mkdir()
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, copied)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copied / package, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(copied)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PIP_NO_INPUT": "1"})
    if done.returncode and "No matching distribution found for setuptools" in done.stderr:
        pytest.skip("building a wheel needs setuptools, which no package index offers here")
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        metadata = next(archive.read(name).decode() for name in held if name.endswith(".dist-info/METADATA"))
        points = next(archive.read(name).decode() for name in held if name.endswith("entry_points.txt"))
    wanted = {
        path.relative_to(copied).as_posix()
        for package in PACKAGES
        for path in (copied / package).rglob("*")
        if path.is_file()
    }
    assert any(name.endswith(".onnx") for name in wanted)
    assert any(name.endswith("sample.jsonl.gz") for name in wanted)
    assert wanted <= held
    assert {name.partition("/")[0] for name in held} == {*PACKAGES, f"listener-{version()}.dist-info"}
    assert any(name.endswith("LICENSE") for name in held)
    assert "License-Expression: Apache-2.0" in metadata
    assert "listener = listener.cli:main" in points


def version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    return str(project["version"])


def test_the_version_is_told_once() -> None:
    told = (ROOT / "CHANGELOG.md").read_text("utf8")
    assert re.search(rf"^## {re.escape(version())}\b", told, re.MULTILINE)
