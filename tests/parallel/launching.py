"""Real processes for tests: `launched` runs a function in several, joined by gloo, and gives what each returned.

They are forked from a server that has imported torch and does nothing else, so that each costs a fraction of a second.
Every call joins processes anew; several checks should still share one.
"""

import importlib
import multiprocessing
import os
import tempfile
import time
import traceback
import warnings
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

PRELOADED = ["torch.distributed.tensor", "torch._dynamo", "alexnet.training.loop", "alexnet.retrieval.embed"]
"""What the first step of each process would import."""
AFTER = 2.0  # seconds that the other processes have to say what befell them, once one has failed


def launched(count: int, function: str, *arguments: Any, seconds: float = 120) -> list[Any]:
    """Run a function in `count` fresh processes joined by gloo; give what each returned, in the order of the ranks.

    Each has one thread, warnings are errors, and RANK, LOCAL_RANK and WORLD_SIZE are set as torchrun sets them.

    Args:
        count: how many processes.
        function: "module:name", the module importable from tests/, as "parallel.working:losses".
        *arguments: for every call of the function, the same; picklable, as is what it returns.
        seconds: in which all of them must be done.

    Raises:
        AssertionError: one failed, died or was too slow; with the traceback of each that failed.
    """
    __tracebackhide__ = True  # what the processes say is what matters
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED, __name__])
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        started, answers = [], {}
        for rank in range(count):
            ours, theirs = context.Pipe(duplex=False)
            place = (rank, count, str(Path(folder) / "meeting"), seconds)
            process = context.Process(target=_work, args=(theirs, place, function, arguments))
            process.start()
            theirs.close()
            started.append((process, ours))
        waited: dict[Connection, int] = {pipe: rank for rank, (_, pipe) in enumerate(started)}
        try:
            while waited and (left := deadline - time.monotonic()) > 0:
                for pipe in wait(list(waited), left):
                    assert isinstance(pipe, Connection)
                    rank = waited.pop(pipe)
                    answers[rank] = _heard(pipe)
                    if not answers[rank][0]:
                        deadline = min(deadline, time.monotonic() + AFTER)
        finally:
            for process, _ in started:
                process.join(max(0.0, min(AFTER, deadline - time.monotonic())))
                if process.is_alive():
                    process.kill()
                    process.join()
    failures = [f"process {rank}:\n{told}" for rank, (went_well, told) in answers.items() if not went_well]
    slow = [f"process {rank} was stopped" for rank in range(count) if rank not in answers]
    assert not failures, "\n".join(failures + slow)
    assert not slow, f"{', '.join(slow)} after {seconds:g} s"
    codes = [process.exitcode for process, _ in started]
    assert codes == [0] * count, f"the processes ended with {codes}"
    return [answers[rank][1] for rank in range(count)]


def _heard(pipe: Connection) -> tuple[bool, Any]:
    try:
        return pipe.recv()
    except EOFError:
        return False, "it ended without a word"


def _work(pipe: Connection, place: tuple[int, int, str, float], function: str, arguments: tuple[Any, ...]) -> None:
    import torch
    from torch import distributed as dist

    rank, count, meeting, seconds = place
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    try:
        module, name = function.split(":")
        called = getattr(importlib.import_module(module), name)
        dist.init_process_group(
            "gloo", init_method=f"file://{meeting}", rank=rank, world_size=count, timeout=timedelta(seconds=seconds)
        )
        try:
            answer = called(*arguments)
        finally:
            dist.destroy_process_group()
        pipe.send((True, answer))
    except BaseException:  # whatever it was, the test must read it
        pipe.send((False, traceback.format_exc()))
