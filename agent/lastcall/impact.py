"""What the user saw: which requests failed after a deprecated use in them.

With `impact = true` each request (ASGI, WSGI, a Celery task) remembers the call sites used in it; if it ends
in a 5xx, an exception, or a WebSocket close with code 1011, each of them gets an `impact` finding. The servers'
own entry points are wrapped as they are imported: uvicorn, gunicorn, Celery. Others put `asgi()` or `wsgi()`
around their application.
"""

from __future__ import annotations

import contextvars

TYPE_CHECKING = False  # typing costs a bare host 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType
    from typing import Any

    from .agent import Agent
    from .sites import SiteRecord

CLOSE_INTERNAL_ERROR = 1011
FIRST_SERVER_ERROR = 500

_current: contextvars.ContextVar[Request | None] = contextvars.ContextVar("lastcall_request", default=None)


class Request:
    """One request under way, and the call sites used in it."""

    __slots__ = ("sites",)

    def __init__(self) -> None:
        self.sites: set[SiteRecord] = set()


class _UnderWay:
    """While it is entered, what runs is part of a request; an exception of the application's is how that ended."""

    __slots__ = ("_ended", "_token", "outcome", "request")

    def __init__(self, ended: Callable[[Request, str], None]) -> None:
        self._ended = ended
        self.request = Request()
        self.outcome = ""

    def __enter__(self) -> None:
        self._token = _current.set(self.request)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Exception):
            self.outcome = type(error).__qualname__
        _current.reset(self._token)
        self._ended(self.request, self.outcome)


class Impact:
    """Joins uses to the end of their request."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        agent.recorder.observe_use = self.observed
        wanted = agent.patcher.wanted
        for module, arm in (
            ("uvicorn.config", self._arm_uvicorn),
            ("gunicorn.app.base", self._arm_gunicorn),
            ("celery.signals", self._arm_celery),
        ):
            wanted.also_exactly(module, arm)

    def observed(self, record: SiteRecord, step: Callable[[], int]) -> Callable[[], int]:
        """`step`, so extended that the request under way remembers the call site."""
        get = _current.get

        def count_in_request() -> int:
            request = get()
            if request is not None:
                request.sites.add(record)
            return step()

        return count_in_request

    def first_use(self, record: SiteRecord) -> None:
        """The first use of a site is counted before it has an entry."""
        request = _current.get()
        if request is not None:
            request.sites.add(record)

    def ended(self, request: Request, outcome: str) -> None:
        """A request has ended; `outcome` says how it failed, empty if it did not."""
        if not outcome:
            return
        with self.agent.errors.guard_in_host("impact"):
            for record in request.sites:
                self.agent.finding_at("impact", record.target, f"the request ended in {outcome}", record)

    # -- applications -------------------------------------------------------------------------------

    def asgi(self, app: Any) -> Any:
        """An ASGI application that tells how its requests end."""

        async def observed(scope: Any, receive: Any, send: Any) -> Any:
            if scope["type"] not in ("http", "websocket"):
                return await app(scope, receive, send)
            under_way = _UnderWay(self.ended)

            async def observed_send(message: Any) -> Any:
                under_way.outcome = _failure_of(message) or under_way.outcome
                return await send(message)

            with under_way:
                return await app(scope, receive, observed_send)

        return observed

    def wsgi(self, app: Any) -> Any:
        """A WSGI application that tells how its requests end."""

        def observed(environ: Any, start_response: Any) -> Iterable[bytes]:
            under_way = _UnderWay(self.ended)

            def observed_start(status: str, headers: Any, *rest: Any) -> Any:
                if status[:1] == "5":
                    under_way.outcome = status[:3]
                return start_response(status, headers, *rest)

            with under_way:
                return app(environ, observed_start)  # type: ignore[no-any-return]

        return observed

    # -- servers ------------------------------------------------------------------------------------

    def _arm_uvicorn(self, module: ModuleType) -> None:
        config = vars(module)["Config"]
        load = config.load

        def load_observed(self_: Any, *args: Any, **kwargs: Any) -> Any:
            result = load(self_, *args, **kwargs)
            self_.loaded_app = self.asgi(self_.loaded_app)
            return result

        self._replace(config, "load", load, load_observed)

    def _arm_gunicorn(self, module: ModuleType) -> None:
        base = vars(module)["BaseApplication"]
        wsgi = base.wsgi

        def wsgi_observed(self_: Any, *args: Any, **kwargs: Any) -> Any:
            app = wsgi(self_, *args, **kwargs)
            # gunicorn's uvicorn workers ask for the application this way too, and hand it to uvicorn
            worker = str(self_.cfg.worker_class_str) if self_.cfg is not None else ""
            return app if "uvicorn" in worker.lower() else self.wsgi(app)

        self._replace(base, "wsgi", wsgi, wsgi_observed)

    def _arm_celery(self, module: ModuleType) -> None:
        tokens: dict[Any, Any] = {}

        def begun(task_id: Any = None, **_: Any) -> None:
            tokens[task_id] = _current.set(Request())

        def finished(task_id: Any = None, state: Any = None, **_: Any) -> None:
            token = tokens.pop(task_id, None)
            request = _current.get()
            if token is not None and request is not None:
                _current.reset(token)
                self.ended(request, "a failed task" if state == "FAILURE" else "")

        names = vars(module)
        names["task_prerun"].connect(begun, weak=False)
        names["task_postrun"].connect(finished, weak=False)

    def _replace(self, owner: Any, name: str, original: Any, replacement: Any) -> None:
        setattr(owner, name, replacement)

        def undo() -> None:
            if vars(owner).get(name) is replacement:
                setattr(owner, name, original)

        self.agent.patcher.to_undo(undo)


def _failure_of(message: Any) -> str:
    kind = message["type"]
    if (
        kind in ("http.response.start", "websocket.http.response.start")
        and message["status"] >= FIRST_SERVER_ERROR
    ):
        return str(message["status"])
    if kind == "websocket.close" and message.get("code") == CLOSE_INTERNAL_ERROR:
        return f"close code {CLOSE_INTERNAL_ERROR}"
    return ""
