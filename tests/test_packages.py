"""The packaging as it is written down equals the folders as they are."""

import re
import subprocess
import tomllib
from importlib.metadata import distribution, packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import alphagrad

ROOT = Path(__file__).parent.parent
FOLDERS = ("api", "optim", "scheduler", "studies", "tuner")
TOP = {
    "tests_gpu",
    ".ci",
    ".dockerignore",
    ".github",
    ".gitignore",
    ".pre-commit-config.yaml",
    ".python-version",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "MANIFEST.in",
    "Makefile",
    "README.md",
    "alphagrad",
    "benchmarks",
    "constraints.txt",
    "deploy",
    "docker-compose.yml",
    "docs",
    "examples",
    "mkdocs.yml",
    "pyproject.toml",
    "scripts",
    "tests",
    *FOLDERS,
}
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE
    )
}


def packages_in(folder: Path, name: str) -> list[str]:
    found = [name] if (folder / "__init__.py").exists() else []
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and not inner.is_symlink() and inner.name != "__pycache__":
            found += packages_in(inner, f"{name}.{inner.name}")
    return found


def test_the_package_list_is_the_folders() -> None:
    found = packages_in(ROOT / "alphagrad", "alphagrad")
    for folder in FOLDERS:
        found += packages_in(ROOT / folder, f"alphagrad.{folder}")
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(found)
    assert len(set(listed)) == len(listed)


def test_the_package_map_is_the_folders() -> None:
    expected = {"alphagrad": "alphagrad"} | {f"alphagrad.{folder}": folder for folder in FOLDERS}
    assert PROJECT["tool"]["setuptools"]["package-dir"] == expected


def test_every_folder_with_python_in_it_is_a_package() -> None:
    for folder in (*FOLDERS, "alphagrad"):
        for module in (ROOT / folder).rglob("*.py"):
            assert (module.parent / "__init__.py").exists(), module


def test_no_module_has_the_name_of_its_package() -> None:
    # Such a module shadows the package when a script runs from its folder.
    for folder in FOLDERS:
        assert not (ROOT / folder / "alphagrad.py").exists()


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_link_points_to_its_folder(folder: str) -> None:
    link = ROOT / "alphagrad" / folder
    assert link.is_symlink()
    assert str(link.readlink()) == f"../{folder}"
    assert link.resolve() == ROOT / folder
    mode = git("ls-files", "--stage", f"alphagrad/{folder}").split()[0]
    assert mode == "120000"


def test_data_files_are_packaged() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]
    files = [Path(line) for line in git("ls-files", *FOLDERS, "alphagrad").splitlines()]
    code = (".py", ".c", ".h")  # C is compiled into the package, not shipped in it
    results = Path("studies/paper/results")  # of the repository: the report is made there
    shipped = [p for p in files if p.suffix not in code and results not in p.parents]
    others = [path for path in shipped if not (ROOT / path).is_symlink()]
    assert Path("api/templates/login.html") in others
    for path in others:
        package = path.parts[0] if path.parts[0] == "alphagrad" else f"alphagrad.{path.parts[0]}"
        assert any(path.match(pattern) for pattern in data[package]), path


def test_the_top_level_holds_what_it_should_and_nothing_else() -> None:
    tracked = {line.split("/")[0] for line in git("ls-files").splitlines()}
    assert tracked <= TOP
    needed = {"pyproject.toml", "README.md", "alphagrad", "tests", "Makefile", ".ci", *FOLDERS}
    assert needed <= tracked


EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]


def requirements(*extras: str) -> list[Requirement]:
    lists = [PROJECT["project"]["dependencies"], *(EXTRAS[extra] for extra in extras)]
    found = [Requirement(text) for texts in lists for text in texts]
    # An extra may name the project itself, to take in another extra.
    return [one for one in found if one.name != PROJECT["project"]["name"]]


def test_the_test_extra_takes_in_the_others() -> None:
    own = [one for one in map(Requirement, EXTRAS["test"]) if one.name == "alphagrad"]
    assert {"test", *(extra for one in own for extra in one.extras)} == set(EXTRAS)


@pytest.mark.parametrize("requirement", requirements(*EXTRAS), ids=lambda one: one.name)
def test_a_dependency_has_a_lower_bound_and_a_pin_within_it(requirement: Requirement) -> None:
    assert {bound.operator for bound in requirement.specifier} == {">="}
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("requirement", requirements(*EXTRAS), ids=lambda one: one.name)
def test_a_dependency_is_installed_as_pinned(requirement: Requirement) -> None:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return
    installed = distribution(requirement.name).version.split("+")[0]
    assert installed == PINS[canonicalize_name(requirement.name)]


def test_what_a_dependency_needs_is_pinned_as_well() -> None:
    here = [one for one in requirements(*EXTRAS) if one.marker is None or one.marker.evaluate()]
    reached = {canonicalize_name(one.name) for one in here}
    waiting = [(one.name, extra) for one in here for extra in (*one.extras, "")]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        for text in requires(name) or []:
            one = Requirement(text)
            # torch's libraries for GPUs are left to torch: they differ by machine.
            if one.marker is not None and not one.marker.evaluate({"extra": extra}):
                continue
            inner = canonicalize_name(one.name)
            if inner.startswith(("nvidia-", "cuda-")) or inner in ("triton", "setuptools"):
                continue
            reached.add(inner)
            for next_one in ((inner, wanted) for wanted in (*one.extras, "")):
                if next_one not in seen:
                    seen.add(next_one)
                    waiting.append(next_one)
    assert reached - PINS.keys() == set()


def test_torch_is_the_version_asked_for() -> None:
    assert PINS[canonicalize_name("torch")] == "2.13.0"


def test_the_version_is_that_of_the_project_file_and_has_a_changelog() -> None:
    version = PROJECT["project"]["version"]
    assert alphagrad.__version__ == distribution("alphagrad").version == version
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0] == version


def test_the_package_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError, match="'alphagrad' has no attribute 'nothing'"):
        alphagrad.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_the_import_name_is_the_distributions_name() -> None:
    assert PROJECT["project"]["name"] == "alphagrad"
    assert set(packages_distributions()["alphagrad"]) == {"alphagrad"}


def git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout
