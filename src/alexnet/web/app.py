"""The server: one page and its JSON routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
import jinja2
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from markupsafe import Markup
from starlette.exceptions import HTTPException as AnyHTTPException

from alexnet.errors import InputError
from alexnet.version import __version__
from alexnet.web.explorer import Explorer, open_explorer
from alexnet.web.guard import Guard
from alexnet.web.routes import comparing, heat, images, inside, mistakes, predictions, runs, similar
from alexnet.web.settings import Settings

PAGES = Path(__file__).parent / "pages"
ABOUT = 'What the explorer of `alexnet serve` asks, for programs. Every error is {"detail": one line}.'


def create_app(served: list[str | Path], index: str | Path | None = None, settings: Settings | None = None) -> FastAPI:
    """Make the server of some runs.

    Args:
        served: folders of runs, or files of weights.
        index: the folder of an index that similar images are looked for in.
        settings: limits, token and device.

    Raises:
        InputError: no such run or index.
    """
    settings = settings or Settings()
    explorer = open_explorer([Path(run) for run in served], Path(index) if index is not None else None, settings)
    app = FastAPI(
        title="alexnet",
        version=__version__,
        description=ABOUT,
        openapi_url="/api/openapi.json",
        docs_url=None,  # FastAPI's own pages load their parts from outside
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.explorer = explorer
    for topic in (runs, images, predictions, comparing, heat, inside, similar, mistakes):
        app.include_router(topic.router)
    app.get("/", include_in_schema=False)(page)
    app.get("/examples", include_in_schema=False)(examples)
    app.mount("/static", StaticFiles(directory=PAGES))
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(InputError, _cannot_be)
    app.add_exception_handler(AnyHTTPException, _one_line)
    app.add_middleware(Guard, settings=settings)
    return app


async def page() -> FileResponse:
    """The explorer."""
    return FileResponse(PAGES / "index.html")


async def examples(request: Request) -> HTMLResponse:
    """How programs ask: curl and Python, with this server's own address."""
    settings: Settings = request.app.state.explorer.settings
    environment = jinja2.Environment(loader=jinja2.PackageLoader("alexnet", "web"), autoescape=True)
    text = environment.get_template("examples.html.j2").render(
        base=str(request.base_url).rstrip("/"),
        token=settings.token is not None,
        header=Markup("-H 'Authorization: Bearer TOKEN' ") if settings.token is not None else "",
        python_header=Markup(', "Authorization": "Bearer TOKEN"') if settings.token is not None else "",
        megabytes=f"{settings.most_bytes / 1e6:g}",
        megapixels=f"{settings.most_pixels / 1e6:g}",
    )
    return HTMLResponse(text)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    explorer: Explorer = app.state.explorer
    # Threads that wait for a net do nothing: some are left for pictures and pages however many wait.
    waiting = len(explorer.runs) * explorer.settings.most_waiting
    anyio.to_thread.current_default_thread_limiter().total_tokens = 16 + waiting
    yield
    explorer.close()


async def _not_valid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return JSONResponse({"detail": f"{where}: {first['msg']}"}, 422)


async def _cannot_be(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": " ".join(str(error).split())}, 422)


async def _one_line(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AnyHTTPException)
    said = error.detail
    if not isinstance(error, HTTPException) and error.status_code == 404:
        said = f"there is nothing at {request.url.path}: see /examples"
    return JSONResponse({"detail": said}, error.status_code, error.headers)
