"""Who may ask, and how much may be sent: what every request passes before any route sees it."""

import asyncio
import json
import secrets
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alexnet.web.settings import LOOPBACK, Settings

HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
# No redirect: where a link elsewhere led here, browsers would follow it without a strict cookie.
SIGNED_IN = (
    b'<!doctype html><meta http-equiv="refresh" content="0; url=/"><title>alexnet</title><a href="/">alexnet</a>'
)
OVERHEAD = 100_000  # bytes of an upload beside the image: the boundaries and headers of its parts
DRAINED = 5  # times the limit that is read and thrown away: a browser that is cut off shows no answer
AT_ONCE = 8  # uploads in memory


class Guard:
    """Middleware: the host's name, other sites, the token, what is sent and how long that takes, headers.

    Args:
        app: what comes behind.
        settings: the limits.
    """

    def __init__(self, app: ASGIApp, settings: Settings):
        self.app, self.settings = app, settings
        self._uploads = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = _with_headers(send)
        headers = Headers(scope=scope)
        refused = self._refused(scope, headers)
        if refused is not None:
            await _answer(send, *refused)
        elif (given := _token_in_address(scope)) is not None:
            await _send(send, 200, SIGNED_IN, {"content-type": "text/html", "set-cookie": _cookie(scope, given)})
        elif scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
        else:
            async with self._uploads:
                body = await self._received(receive)
                if isinstance(body, bytes):
                    await self.app(scope, _again(body, receive), send)
                else:
                    await _answer(send, *body)

    def _refused(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Status and line, where the request may not pass."""
        host = headers.get("host", "")
        # A page elsewhere may give its own name this machine's address; its requests then bring that name.
        if self.settings.is_private and _without_port(host) not in LOOPBACK:
            return 403, f"asked as {host!r}: this server answers as localhost and 127.0.0.1 alone"
        if headers.get("sec-fetch-site") == "cross-site" and scope["path"].startswith("/api/"):
            return 403, "asked by a page of another site: open the explorer itself"
        if self.settings.token is None:
            return None
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        brought = [
            bearer if kind.lower() == "bearer" else None,
            cookie_parser(headers.get("cookie", "")).get(_cookie_name(scope)),
            _token_in_address(scope),
        ]
        wanted = self.settings.token.encode()
        if any(secrets.compare_digest(one.encode(), wanted) for one in brought if one is not None):
            return None
        return (
            401,
            "a token is wanted: open the address that alexnet serve printed, or send Authorization: Bearer TOKEN",
        )

    async def _received(self, receive: Receive) -> bytes | tuple[int, str]:
        """The whole body of a request; or status and line, where it is too large or does not come."""
        most = self.settings.most_bytes
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.settings.seconds):
                while size <= DRAINED * most + OVERHEAD:
                    message = await receive()
                    size += len(message.get("body", b""))
                    if size <= most + OVERHEAD:
                        pieces.append(message.get("body", b""))
                    else:
                        pieces.clear()
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            return 408, f"the upload did not arrive within {self.settings.seconds:g} seconds"
        if size > most + OVERHEAD:
            return 413, f"the file is too large: at most {most:,} bytes are read"
        return b"".join(pieces)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body that has been received already."""
    left = [body]

    async def give() -> Message:
        return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

    return give


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sent


async def _answer(send: Send, status: int, line: str) -> None:
    await _send(send, status, json.dumps({"detail": line}).encode(), {"content-type": "application/json"})


async def _send(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    headers = headers | {"content-length": str(len(body))}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _token_in_address(scope: Scope) -> str | None:
    """The token in `/?token=...`."""
    if scope["path"] != "/":
        return None
    return parse_qs(scope["query_string"].decode("latin-1")).get("token", [None])[0]


def _cookie(scope: Scope, token: str) -> str:
    """The cookie that keeps the token out of the address and out of scripts' reach."""
    secure = "; Secure" if scope["scheme"] == "https" else ""
    return f"{_cookie_name(scope)}={token}; HttpOnly; SameSite=Strict; Path=/{secure}"


def _cookie_name(scope: Scope) -> str:
    """A name of this server's own: browsers do not tell the ports of a host apart."""
    port = scope["server"][1] if scope.get("server") else 0
    return f"alexnet-{port}"


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
