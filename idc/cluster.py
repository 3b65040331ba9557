"""Work for other machines: a Dask cluster behind the interface of `concurrent.futures`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from idc.errors import UserError

PATIENCE = 20  # seconds to wait for a Dask scheduler


@contextmanager
def dask_executor(address: str, doing: str) -> Iterator[tuple[Executor, int]]:
    """Something to submit work to, and how many pieces of work to keep under way.

    doing: what the work is, for messages: "render". The same work submitted twice is done twice. Raises UserError where
    Dask is not installed, and where no scheduler with workers answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise UserError("--dask needs the package distributed: pip install distributed.") from error
    hint = (
        "Start one with `dask scheduler` and workers with `dask worker ADDRESS --nthreads 1`, or leave --dask out "
        f"to {doing} on this machine."
    )
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(f"no Dask scheduler answers at {address} ({error}). {hint}") from error
    with client:
        if not (threads := client.nthreads()):
            raise UserError(f"the Dask scheduler at {address} has no workers. {hint}")
        pool = client.get_executor(pure=False)
        try:
            yield pool, 2 * sum(threads.values())
        finally:
            pool.shutdown(wait=False)
