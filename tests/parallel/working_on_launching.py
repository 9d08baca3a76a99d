"""What the processes of test_launching.py do."""

import time

import torch
from torch import distributed as dist


def add(value: float) -> tuple[int, float]:
    summed = torch.tensor(value * (dist.get_rank() + 1))
    dist.all_reduce(summed)
    return dist.get_rank(), float(summed)


def fail_in_the_second() -> None:
    if dist.get_rank() == 1:
        raise ValueError("the second process fails")
    dist.barrier()


def sleep() -> None:
    time.sleep(60)
