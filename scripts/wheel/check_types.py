"""Runs pyright, strictly, over two programs of a user; the argument is the wheel's interpreter."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
python = sys.argv[1]

project = Path("project")
project.mkdir()
for name in ("typed.py", "mistyped.py"):
    shutil.copy(HERE / name, project)
(project / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}', encoding="utf-8")
# basedpyright is pyright with Node.js in its wheel; its mode "strict" is that of pyright.
command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", python]
done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
report = json.loads(done.stdout)
assert report["summary"]["filesAnalyzed"] == 2, report

found: set[tuple[str, int]] = set()
for problem in report["generalDiagnostics"]:
    place = Path(problem["file"]).name, problem["range"]["start"]["line"] + 1
    found.add(place)
    if place[0] == "typed.py":
        print(f"{place[0]}:{place[1]}: {problem['message']} ({problem.get('rule')})")
lines = (project / "mistyped.py").read_text("utf-8").splitlines()
planted = {("mistyped.py", i) for i, line in enumerate(lines, 1) if line.endswith("# wrong")}
assert found == planted, f"not found: {planted - found}; found beside them: {found - planted}"
print(f"strict, no error in typed.py, and the {len(planted)} of mistyped.py")
