"""The pages' modules: sound, and with the manners that keep text from being taken for markup."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import need

API = Path(__file__).parents[2] / "api"
WEB = API / "web"
MODULES = sorted([*WEB.glob("*.js"), *(API / "templates").glob("*.js")])


# Node.js starts slowly, and its --check takes one file.
CHECK = """
const { SourceTextModule } = require('vm');
const { readFileSync } = require('fs');
for (const path of process.argv.slice(1)) {
  new SourceTextModule(readFileSync(path, 'utf8'), { identifier: path });
}
"""


def test_modules_are_sound() -> None:
    if (node := shutil.which("node")) is None:
        need("Node.js")
        return
    options = ["--no-warnings", "--experimental-vm-modules", "-e", CHECK]
    subprocess.run([node, *options, *map(str, MODULES)], check=True)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_modules_never_make_markup_of_text(module: Path) -> None:
    code = module.read_text("utf-8")
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    assert re.findall(forbidden, code) == []
    assert re.findall(r"https?://", code) == []
    if "localStorage" in code:  # the choice of colours and nothing else
        assert set(re.findall(r"localStorage\.\w+\('([^']+)'", code)) == {"alphagrad-theme"}


def test_modules_import_only_what_is_there() -> None:
    for module in WEB.glob("*.js"):
        for name in re.findall(r"""from '\./([^']+)'""", module.read_text("utf-8")):
            assert (WEB / name).exists(), f"{module.name}: {name}"
