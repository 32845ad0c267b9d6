#!/usr/bin/env python3
"""Builds the wheel and uses it as a stranger would: a clean environment, an empty home.

The dependencies are those of the interpreter that runs this, seen through a .pth file, while
alphagrad comes from the wheel alone. ``--full`` installs them anew, as constraints.txt says
(2 to 3 GB).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
STEPS = ROOT / "scripts" / "wheel"
FOLDERS = ("api", "optim", "scheduler", "studies", "tuner")
START = time.monotonic()


def main() -> None:
    """Build, install, walk; the first thing that fails ends it with its output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--full", action="store_true", help="install the dependencies anew")
    full = parser.parse_args().full
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        wheel = build(place)
        compare(wheel)
        python = install(place, wheel, full=full)
        walk(place, python)


def build(place: Path) -> Path:
    """Build the source archive from what git knows, and the wheel from the archive."""
    source = place / "source"
    for path in tracked():  # what lies about untracked must not mend a package that lacks it
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_symlink():
            (source / path).symlink_to((ROOT / path).readlink())
        else:
            (source / path).write_bytes((ROOT / path).read_bytes())
    run([sys.executable, "-m", "build", "--outdir", str(place / "dist"), "."], source)
    (archive,) = (place / "dist").glob("*.tar.gz")
    (wheel,) = (place / "dist").glob("*.whl")
    say(f"built {archive.name} and, from it, {wheel.name}")
    return wheel


def compare(wheel: Path) -> None:
    """Each tracked file of the packages is in the wheel, but for C and the paper's results."""
    wanted = {
        path if path.parts[0] == "alphagrad" else "alphagrad" / path
        for path in tracked("alphagrad", *FOLDERS)
        if path.suffix not in (".c", ".h")
        and not path.is_relative_to("studies/paper/results")
        and not (ROOT / path).is_symlink()
    }
    held = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    if lacking := sorted(map(str, wanted - held)):
        sys.exit(f"{wheel.name} lacks {', '.join(lacking)}")
    odd = {path for path in held - wanted if path.parts[0] == "alphagrad" and path.suffix != ".so"}
    if odd:
        sys.exit(f"{wheel.name} holds {', '.join(sorted(map(str, odd)))}, which git does not know")
    say(f"the wheel holds the {len(wanted)} files it should")


def install(place: Path, wheel: Path, *, full: bool) -> Path:
    """Install the wheel into an environment of its own; give its interpreter."""
    venv.create(place / "venv")
    python = place / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    pip += ["install", "--quiet"]
    if full:
        run([*pip, "--constraint", str(ROOT / "constraints.txt"), str(wheel)], place)
    else:
        run([*pip, "--no-deps", str(wheel)], place)
        (packages,) = (place / "venv").glob("lib/python*/site-packages")
        seen = [path for path in sys.path if Path(path).name == "site-packages"]
        # A .pth file in these folders, such as that of an editable alphagrad, is not read again.
        (packages / "dependencies.pth").write_text("\n".join(seen) + "\n", encoding="utf-8")
    say("installed the wheel" + (" and its dependencies" if full else ""))
    return python


def walk(place: Path, python: Path) -> None:
    """Go a user's way, step by step, from an empty folder."""
    home = place / "home"
    home.mkdir()
    path = f"{python.parent}:{os.environ['PATH']}"
    bare = {"HOME": str(home), "PATH": path, "OMP_NUM_THREADS": "1", "LANG": "C.UTF-8"}
    imports = [str(ROOT / "benchmarks" / "imports.py"), "--limit", "0.3", "alphagrad"]
    for name, command in {
        "imports": [str(python), *imports],
        "in_process": [str(python), str(STEPS / "in_process.py")],
        "service": ["bash", str(STEPS / "service.sh")],
        # The checker is this interpreter's, the packages that it reads are the new environment's.
        "check_types": [sys.executable, str(STEPS / "check_types.py"), str(python)],
    }.items():
        print(run(command, home, None if name == "check_types" else bare), end="")
        say(f"went through {name}")


def run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    """Run a command and give what it printed; if it fails, show that and stop."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\n{' '.join(command)}: exit code {done.returncode}")
    return done.stdout


def tracked(*folders: str) -> list[Path]:
    """The files that git knows, in the checkout or in some folders of it."""
    names = run(["git", "ls-files", "-z", *folders], ROOT)
    return [Path(name) for name in names.split("\0") if name and os.path.lexists(ROOT / name)]


def say(text: str) -> None:
    """Print a line with the seconds so far."""
    print(f"{time.monotonic() - START:5.0f} s  {text}", flush=True)


if __name__ == "__main__":
    main()
