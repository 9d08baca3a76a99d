"""What the server holds people to."""

import importlib
from dataclasses import dataclass

from alexnet.errors import InputError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """Limits, and who may ask.

    Attributes:
        host: the address that is listened on.
        token: what every request must bring; None where anybody may ask.
        device: "auto", "cpu", "cuda" or "mps".
        most_bytes: of an uploaded file.
        most_pixels: of an uploaded image.
        seconds: that an answer may take, and that an upload may take to arrive.
        most_waiting: requests that wait for one net; the next ones are told to come again.
        kept_uploads: images; `kept_bytes`: of their files. The longest unused go first.
        decoded_bytes: pixels that are kept so as not to decode them again.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    device: str = "auto"
    most_bytes: int = 20_000_000
    most_pixels: int = 100_000_000
    seconds: float = 30.0
    most_waiting: int = 32
    kept_uploads: int = 64
    kept_bytes: int = 256_000_000
    decoded_bytes: int = 64_000_000

    @property
    def is_private(self) -> bool:
        """Whether only this machine can ask."""
        return self.host in LOOPBACK


def need_web() -> None:
    """Raise an InputError unless the packages of the extra `web` are there."""
    for name in ("fastapi", "uvicorn", "python_multipart"):
        try:
            importlib.import_module(name)
        except ImportError:
            raise InputError(f"the explorer needs {name}, which is not here: pip install 'alexnet[web]'") from None
