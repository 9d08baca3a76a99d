"""The heap as each way has it: kept between calls for ours, as the command line does; the C library's own otherwise."""

from collections.abc import Callable

from alexnet.devices import keep_memory, usual_memory


def heap() -> Callable[[str], bool]:
    """A function to call before each way, by its name: "obvious ..." or another; True where that changed the heap."""
    now: str | None = None

    def enter(name: str) -> bool:
        nonlocal now
        wanted = "usual" if name.startswith("obvious") else "kept"
        if wanted == now:
            return False
        now = wanted
        (usual_memory if wanted == "usual" else keep_memory)()
        return True

    return enter
