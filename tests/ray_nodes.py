"""A Ray cluster of the tests: nodes of this machine, started and killed by a process beside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

from alphagrad.tuner.ray_cluster import driver_environment
from alphagrad.tuner.settings import TunerSettings


class RayNodes:
    """A cluster, as a context manager.

    Args:
        cpus: of its first node, where drivers connect.
    """

    def __init__(self, cpus: int) -> None:
        self._cpus = cpus

    def __enter__(self) -> Self:
        # A short path: Ray's sockets lie in it. Nobody else's `ray.init()` looks here.
        self._folder = tempfile.mkdtemp(prefix="ag-ray-", dir="/tmp")
        local = driver_environment(TunerSettings(home=Path(self._folder)))
        del local["RAY_AUTH_TOKEN"], local["RAY_AUTH_MODE"]  # as users' clusters often are
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self._cpus)],
            env=os.environ | local | {"RAY_TMPDIR": self._folder},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self._answer()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate(timeout=30)  # its standard input closes
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The process beside, of which all nodes are descendants."""
        return self._process.pid

    def add(self, cpus: int) -> str:
        """Start another node, and give its id."""
        return self._command(f"add {cpus}")

    def kill(self, node: str) -> None:
        """Kill a node with all its processes."""
        self._command(f"kill {node}")

    def _command(self, command: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("answer "):
                return line.split()[1]
        raise AssertionError(f"the cluster ended with code {self._process.wait()}")


def _serve(cpus: int) -> None:
    from ray.cluster_utils import Cluster

    quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
    options: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 100 * 2**20}
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": cpus, "_system_config": quick, **options},
    )
    nodes = {}
    print("answer", cluster.address, flush=True)  # noqa: T201
    for line in sys.stdin:
        match line.split():
            case ["add", more]:
                node = cluster.add_node(num_cpus=int(more), **options)
                nodes[node.node_id] = node
                print("answer", node.node_id, flush=True)  # noqa: T201
            case ["kill", which]:
                cluster.remove_node(nodes.pop(which), allow_graceful=False)
                print("answer", which, flush=True)  # noqa: T201
    cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
