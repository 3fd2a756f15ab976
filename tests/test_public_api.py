"""The public names: what is promised, what a type checker sees and what is imported agree."""

import ast
import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import rldistill

SOURCE = Path(rldistill.__file__)
ROOT = Path(__file__).parents[1]


def type_checking_imports() -> dict[str, str]:
    """Name -> module, as the TYPE_CHECKING block of the package says."""
    blocks = [
        node
        for node in ast.parse(SOURCE.read_text()).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name)
    ]
    assert [block.test.id for block in blocks] == ["TYPE_CHECKING"]
    imports = {}
    for node in blocks[0].body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname is None, f"{alias.name} is re-exported under another name"
            imports[alias.name] = node.module
    return imports


def modules_loaded_by(statement: str) -> set[str]:
    """Top-level modules in a fresh interpreter after one statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return {name.split(".")[0] for name in json.loads(done.stdout)}


def test_all_is_sorted_and_has_no_duplicates():
    assert rldistill.__all__ == sorted(set(rldistill.__all__))


def test_a_type_checker_sees_what_the_interpreter_imports():
    """The TYPE_CHECKING imports, the lazy table and __all__ hold the same names and homes."""
    imports = type_checking_imports()
    assert imports == rldistill._HOMES
    assert sorted(imports) == rldistill.__all__


@pytest.mark.parametrize("name", rldistill.__all__)
def test_a_public_name_is_the_object_of_its_home(name):
    home = importlib.import_module(rldistill._HOMES[name])
    assert getattr(rldistill, name) is getattr(home, name)


@pytest.mark.parametrize("name", rldistill.__all__)
def test_a_public_name_says_what_it_does(name):
    assert (getattr(rldistill, name).__doc__ or "").strip()


def test_dir_lists_every_public_name():
    assert set(rldistill.__all__) <= set(dir(rldistill))


def test_an_unknown_name_is_an_ordinary_attribute_error():
    with pytest.raises(AttributeError, match="module 'rldistill' has no attribute 'distil'"):
        rldistill.distil  # noqa: B018


def test_importing_the_package_loads_nothing_heavy():
    """`import rldistill` must cost nothing: neither torch nor any other third party."""
    loaded = modules_loaded_by("import rldistill")
    assert "rldistill" in loaded
    heavy = {"torch", "numpy", "scipy", "gymnasium", "pydantic", "matplotlib", "rich", "tyro"}
    assert not loaded & heavy


def test_errors_can_be_caught_without_loading_torch():
    assert "torch" not in modules_loaded_by("from rldistill import RldistillError")


def test_every_direct_dependency_is_pinned():
    """What pyproject.toml asks for, constraints.txt pins, and nothing besides."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    asked = {name_of(requirement) for group in groups for requirement in group} - {"rldistill"}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin) for pin in pins)
    assert {name_of(pin) for pin in pins} == asked


def name_of(requirement: str) -> str:
    """The distribution a requirement names, as pip compares names."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()
