"""A lease that is renewed by a thread while its holder is kept by something else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from alphagrad.tuner import leases
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import StaleFenceError

logger = logging.getLogger(__name__)


@contextmanager
def kept(
    database: Database, claimed: leases.Claim, *, worker: str, lease_seconds: float
) -> Iterator[None]:
    """Keep a lease through a block; it is whole at the block's end.

    Args:
        database: the database.
        claimed: the claim.
        worker: whose it is.
        lease_seconds: how long it holds from each renewal.

    Raises:
        StaleFenceError: the lease was lost meanwhile.
    """
    mine = {(claimed.trial.id, claimed.fence)}
    over = threading.Event()

    def renew() -> bool:
        held = leases.renew(database, mine, worker=worker, lease_seconds=lease_seconds)
        return held == mine

    def beat() -> None:
        while not over.wait(lease_seconds / 3):
            try:
                renew()
            except DBAPIError as error:
                logger.warning("the lease of an ask was not renewed: %s", error.orig)

    heart = threading.Thread(target=beat, name="alphagrad-ask-lease", daemon=True)
    heart.start()
    try:
        yield
    finally:
        over.set()
        heart.join()
    if not renew():
        raise StaleFenceError(f"trial row {claimed.trial.id}: the lease was lost in the ask")
