"""`alexnet serve`: listen, say where, and answer until stopped."""

import re
import secrets
import socket
import threading
import webbrowser
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import uvicorn

from alexnet.errors import InputError
from alexnet.progress import note
from alexnet.web.app import create_app
from alexnet.web.settings import Settings

BACKLOG = 128
TOKEN = r"[A-Za-z0-9._~+/=-]+"  # what RFC 6750 allows, and a cookie


def serve(
    runs: list[str | Path], index: str | Path | None, settings: Settings, listening: socket.socket, open_page: bool
) -> None:
    """Serve runs until the process is stopped.

    Args:
        runs: folders of runs, or files of weights.
        index: the folder of an index; None for none.
        settings: address, limits; without a token one is made up where others than this machine can ask.
        listening: as `listen` gives it, at the address of the settings.
        open_page: open the page in the user's browser.

    Raises:
        InputError: no such run or index; a token that cannot be sent.
    """
    if settings.token is not None and re.fullmatch(TOKEN, settings.token) is None:
        raise InputError("a token came that no header can hold: give letters, digits and . _ ~ + / = - alone")
    if settings.token is None and not settings.is_private:
        settings = replace(settings, token=secrets.token_urlsafe(24))
    app = create_app(runs, index, settings)
    address = page_address(settings, listening.getsockname()[1])
    for run in app.state.explorer.runs:
        note(f"{run.number}: {run.state()}")
    print(f"open {address}", flush=True)
    if open_page:
        threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=3, server_header=False)
    )
    with suppress(KeyboardInterrupt):  # uvicorn ends its answers first, and then passes it on
        server.run([listening])
    note("stopped")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there, at port 0 where one is free.

    Raises:
        InputError: it cannot be had.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port {port}: give 1 to 65535, or 0 for one that is free")
    try:
        kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.create_server(address[:2], family=kind, backlog=BACKLOG)
        # Without it an answer's second packet waits 40 ms for the receipt of its first; asyncio sets it for sockets of
        # its own making alone.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(
            f"{host}:{port} cannot be listened on ({why}): take another --port, such as 0 for any that is free"
        ) from None


def page_address(settings: Settings, port: int) -> str:
    """What to open in a browser, on this machine where all addresses are listened on."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + (f"?token={quote(settings.token, safe='')}" if settings.token else "")
