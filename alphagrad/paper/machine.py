"""What a number depends on beside seed and versions: the processor and its kernels."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info


def machine() -> dict[str, Any]:
    """Processor, cores, and the kernels that the linear algebra libraries of this process took."""
    libraries = {
        " ".join(filter(None, map(one.get, ("internal_api", "version", "architecture"))))
        for one in threadpool_info()
        if one["user_api"] == "blas"
    }
    return {"cpu": cpu(), "cores": os.cpu_count(), "blas": sorted(libraries)}


def cpu() -> str:
    """The processor's name, or its architecture where the system does not tell the name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
