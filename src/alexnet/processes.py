"""One process among several: which it is, which rows are its own, and what all of them put together.

A single process is the same with a size of 1, so callers need not ask. `parallel/` starts and joins the processes;
this module knows torch.distributed alone. Numbers on the host go by gloo, also where a GPU's own go by NCCL.
"""

import os
import socket
import time
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

PATIENCE = timedelta(days=1)
"""How long the others wait where the first process packs, writes or measures alone."""

_patient: list[Any] = []


def join(backend: str, timeout: float) -> None:
    """Join the processes that torchrun started; its environment says who and where.

    Args:
        backend: torch's name of one, such as "gloo".
        timeout: seconds after which a process that does not answer within a step counts as lost.
    """
    from torch.distributed.rendezvous import rendezvous  # not in every build of torch

    wait = timedelta(seconds=timeout)
    store, own, count = next(rendezvous("env://", timeout=wait))
    if "TORCHELASTIC_RUN_ID" in os.environ:
        store = _meeting(store, own, count, wait)
    dist.init_process_group(backend, timeout=wait, store=store, rank=own, world_size=count)
    _patient.append(dist.new_group(timeout=PATIENCE, backend="gloo"))


def _meeting(agents: Any, rank: int, count: int, wait: timedelta) -> Any:
    """A store of the first process, for the processes that were started together.

    The agent's own outlives them: after a restart it still holds the addresses of those that died, and gloo would
    try to reach them (pytorch issue 135712).
    """
    host = os.environ["MASTER_ADDR"]
    if rank == 0:
        own = dist.TCPStore(host, 0, count, True, wait, wait_for_workers=False)  # pyright: ignore
        agents.set("alexnet_meeting", str(own.port))
        return own
    until = time.monotonic() + wait.total_seconds()
    while True:
        port = int(agents.get("alexnet_meeting"))
        try:
            socket.create_connection((host, port), timeout=1).close()
            return dist.TCPStore(host, port, count, False, wait)  # pyright: ignore
        except OSError as error:  # nobody is there any more: the first process has yet to say where it is now
            if time.monotonic() > until:
                raise dist.DistStoreError(f"the first process is not at {host}:{port} ({error})") from None
            time.sleep(0.1)


def leave() -> None:
    """Leave the others; graphs and meshes made of them must be gone by then."""
    _patient.clear()
    dist.destroy_process_group()


def size() -> int:
    """How many processes work together; 1 where none were joined."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if size() > 1 else 0


def is_first() -> bool:
    """Whether this is the process that writes files and talks to people."""
    return rank() == 0


def local_rank() -> int:
    """The number of this process on its machine, which is that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0")) if size() > 1 else 0


def own_rows(n: int, part: int | None = None, parts: int | None = None) -> slice:
    """Which of `n` rows are this process's: one slice each, in the order of the processes, as equal as can be.

    Args:
        n: rows in all; with fewer than processes some slices are empty.
        part, parts: another number and count than this process's rank and the number of processes.
    """
    part, parts = rank() if part is None else part, size() if parts is None else parts
    return slice(n * part // parts, n * (part + 1) // parts)


def all_rows(own: np.ndarray, n: int) -> np.ndarray:
    """The rows of all processes in order, in every process: [own rows, ...] -> [n, ...], same dtype.

    Args:
        own: rows `own_rows(n)` of the whole.
        n: rows of the whole.
    """
    if size() == 1:
        return own
    shares = [own_rows(n, part) for part in range(size())]
    longest = max(share.stop - share.start for share in shares)
    padded = np.zeros((longest, *own.shape[1:]), own.dtype)
    padded[: len(own)] = own
    mine = torch.from_numpy(padded.view(np.uint8) if padded.dtype.kind == "V" else padded)
    parts = [torch.empty_like(mine) for _ in shares]
    dist.all_gather(parts, mine)
    rows = [part[: share.stop - share.start].numpy() for part, share in zip(parts, shares)]
    return np.concatenate(rows).view(own.dtype)


def total(values: Tensor) -> Tensor:
    """The sum over all processes, in a new tensor on the host, in every process."""
    values = values.detach().cpu().clone()
    if size() > 1:
        dist.all_reduce(values)
    return values


def told_by_first(value: Any = None) -> Any:
    """What the first process gives here, in every process; any picklable value."""
    if size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, group=_waiting())
    return box[0]


def told_by_all(value: Any) -> list[Any]:
    """What each process gives here, in the order of the processes, in every process; any picklable value."""
    if size() == 1:
        return [value]
    values: list[Any] = [None] * size()
    dist.all_gather_object(values, value, group=_waiting())
    return values


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if size() > 1:
        dist.barrier(_waiting())


def any_of(*flags: bool) -> list[bool]:
    """Of each flag whether it is up in any process."""
    if size() == 1:
        return list(flags)
    raised = torch.tensor(flags, dtype=torch.uint8)
    dist.all_reduce(raised, dist.ReduceOp.MAX)
    return raised.bool().tolist()


def _waiting() -> dist.ProcessGroup | None:
    """The group in which the others wait for the first; the usual one where somebody else joined the processes."""
    return _patient[0] if _patient else None
