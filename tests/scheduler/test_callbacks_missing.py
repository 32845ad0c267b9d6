"""A callback without its library says what to install; the schedulers need none of them."""

import subprocess
import sys

import pytest

LIBRARIES = {"sb3": "stable_baselines3", "lightning": "lightning", "transformers": "transformers"}


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_missing_library_is_named_with_the_extra(name: str) -> None:
    done = run(
        f"import sys; sys.modules['{LIBRARIES[name]}'] = None\n"
        f"import alphagrad.scheduler.callbacks_{name}"
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: callbacks_{name} needs ")
    assert last.endswith("pip install 'alphagrad[integrations]'")


def test_the_schedulers_load_no_library() -> None:
    libraries = [*LIBRARIES.values(), "tensorboard", "ray"]
    done = run(
        "import sys, alphagrad.scheduler, alphagrad.scheduler.callbacks_ray\n"
        f"print({{*{libraries}}} & {{*sys.modules}})"
    )
    assert done.stdout == "set()\n", done.stderr
