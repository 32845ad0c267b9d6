"""Connecting to Ray: a cluster by its address, or one of this machine's own."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from alphagrad.tuner.settings import TunerSettings

OBJECT_STORE_BYTES = 128 * 2**20
"""Of a Ray of our own: only messages pass through it."""
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Whatever the platform, this has Ray listen, and look, on the loopback interface alone."""
OUR_SECRETS = (
    "ALPHAGRAD_DATABASE_URL",
    "ALPHAGRAD_DATABASE_URL_FILE",
    "ALPHAGRAD_API_KEY",
    "ALPHAGRAD_API_KEY_FILE",
)
"""Variables that the driver does not need in its environment."""
SECRETS = (*OUR_SECRETS, "PGPASSWORD")
"""Variables that must not reach Ray's processes, which inherit the environment."""


def driver_environment(settings: TunerSettings) -> dict[str, str]:
    """Variables for the driver's process: Ray reads most of them when it is imported."""
    quiet = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_AUTO_CONNECT": "0",  # or a thread that calls Ray after its end starts it again
        "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints although its verbosity is 0
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    }
    if settings.ray_address is None:
        return (
            quiet
            | LOOPBACK
            | {
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN": secrets.token_hex(32),
            }
        )
    return quiet | (LOOPBACK if settings.ray_address.startswith("127.0.0.1:") else {})


@contextmanager
def environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables, or with ``None`` unset them, for a while."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def connect(settings: TunerSettings) -> None:
    """Connect this process to Ray; a Ray of its own ends with it.

    Raises:
        ConnectionError: no cluster is at ``ray_address``.
    """
    import ray

    with environment(dict.fromkeys(SECRETS)):
        if settings.ray_address is not None:
            ray.init(
                settings.ray_address,
                log_to_driver=False,
                logging_level=logging.WARNING,
            )
        else:
            ray.init(
                "local",
                num_cpus=settings.slots,
                num_gpus=settings.gpus,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.WARNING,
            )


def capacity() -> tuple[int, list[str]]:
    """CPUs of the cluster as it stands, and a name for each GPU; which one that is, Ray knows."""
    import ray

    total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpus = [f"ray:{number}" for number in range(int(total.get("GPU", 0.0)))]
    return int(total.get("CPU", 0.0)), gpus


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
