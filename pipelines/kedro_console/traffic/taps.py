"""Where requests are seen: requests, httpx, httpx2, urllib3 and urllib.request, patched in the child alone.

A library is patched when it is there, or at the moment when the project imports it; who uses none pays nothing. What
a patched function gets, returns and raises is what it did before, and no stream is read.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from kedro_console.traffic.traffic import Call, Content, Traffic, current

Function = Callable[..., Any]


def install(traffic: Traffic) -> None:
    """From now on the requests of this process are seen."""
    waiting = {name: patch for name, patch in PATCHES.items() if name not in sys.modules}
    for name in PATCHES.keys() - waiting.keys():
        PATCHES[name](sys.modules[name], traffic)
    sys.meta_path.insert(0, _Finder(waiting, traffic))


class _Finder(MetaPathFinder):
    """Lets others find the module, and patches it when it has been executed."""

    def __init__(self, waiting: dict[str, Callable[[Any, Traffic], None]], traffic: Traffic) -> None:
        self._waiting, self._traffic = waiting, traffic
        self._looking = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._waiting or getattr(self._looking, "name", "") == fullname:
            return None
        self._looking.name = fullname
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._looking.name = ""
        if spec is not None and hasattr(spec.loader, "exec_module"):
            patch = self._waiting[fullname]
            spec.loader = _Patching(spec.loader, lambda module: patch(module, self._traffic))
        return spec


class _Patching(Loader):
    """A loader that hands the finished module to `patch`."""

    def __init__(self, loader: Any, patch: Callable[[ModuleType], None]) -> None:
        self._loader, self._patch = loader, patch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader  # as if we had never been here
        self._loader.exec_module(module)
        self._patch(module)


def _wrap(owner: Any, name: str, make: Callable[[Function], Function]) -> None:
    """Puts `make(original)` in the place of a method; a library without it is left alone."""
    original = getattr(owner, name, None)
    if original is not None:
        setattr(owner, name, functools.wraps(original)(make(original)))


class _Timed:
    """One request of a call: counted when it has its answer, or never will."""

    def __init__(self, traffic: Traffic, call: Call, url: str) -> None:
        self._traffic, self._call, self._url, self._began = traffic, call, url, time.perf_counter()
        self.status = 0

    def __enter__(self) -> _Timed:
        return self

    def __exit__(self, cls: object, error: BaseException | None, where: object) -> None:
        self._traffic.attempted(self._call, self._url, self._began, self.status, error)

    def see(self, answer: Any, name: str) -> None:
        status = getattr(answer, name, 0)
        self.status = status if isinstance(status, int) else 0


def _read_already(content: Any) -> Content:
    """The body, when the library has read it for its caller; nothing is read here."""
    return content if isinstance(content, (bytes, str)) else None


# ---- urllib3 (and botocore, which goes through it) ----------------------------------------------------


def _patch_urllib3(module: Any, traffic: Traffic) -> None:
    def urlopen(original: Function) -> Function:
        def seen(pool: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            within = current.get()
            if within is not None and within.library == "urllib3":  # a retry of its own
                return original(pool, method, url, *args, **kwargs)
            with traffic.call(Call("urllib3"), _ask_urllib3, pool, method, url, args, kwargs) as call:
                answer = original(pool, method, url, *args, **kwargs)
                traffic.harmless(_see_urllib3, call, answer)
                return answer

        return seen

    def make_request(original: Function) -> Function:
        def seen(pool: Any, *args: Any, **kwargs: Any) -> Any:
            call = current.get()
            if call is None:
                return original(pool, *args, **kwargs)
            with _Timed(traffic, call, _address(pool, "/")) as timed:
                answer = original(pool, *args, **kwargs)
                timed.see(answer, "status")
                return answer

        return seen

    pool = getattr(module, "HTTPConnectionPool", None)
    _wrap(pool, "urlopen", urlopen)
    _wrap(pool, "_make_request", make_request)


def _ask_urllib3(call: Call, pool: Any, method: str, url: str, args: Any, kwargs: Any) -> None:
    body = args[0] if args else kwargs.get("body")
    headers = args[1] if len(args) > 1 else kwargs.get("headers")
    call.is_open_book = not type(pool).__module__.startswith("botocore")
    call.asked(method, _address(pool, url), headers, body)


def _see_urllib3(call: Call, answer: Any) -> None:
    call.answered(answer.status, answer.headers, _read_already(getattr(answer, "_body", None)))


def _address(pool: Any, url: str) -> str:
    if "://" in url:
        return url
    port = f":{pool.port}" if pool.port and pool.port != {"http": 80, "https": 443}.get(pool.scheme) else ""
    host = f"[{pool.host}]" if ":" in pool.host and not pool.host.startswith("[") else pool.host
    return f"{pool.scheme}://{host}{port}{url}"


# ---- requests -----------------------------------------------------------------------------------------


def _patch_requests(module: Any, traffic: Traffic) -> None:
    def send(original: Function) -> Function:
        def seen(session: Any, request: Any, **kwargs: Any) -> Any:
            with traffic.call(Call("requests"), _ask_requests, request) as call:
                answer = original(session, request, **kwargs)
                traffic.harmless(_see_requests, call, answer)
                return answer

        return seen

    _wrap(getattr(module, "Session", None), "send", send)


def _ask_requests(call: Call, request: Any) -> None:
    call.asked(request.method, request.url, request.headers, request.body)


def _see_requests(call: Call, answer: Any) -> None:
    own = answer.history[0] if answer.history else answer  # where it was led to is a call of its own
    call.answered(own.status_code, own.headers, _read_already(getattr(own, "_content", None)))


# ---- httpx and httpx2 -----------------------------------------------------------------------------------


def _patch_httpx(module: Any, traffic: Traffic) -> None:
    library = module.__name__.partition(".")[0]

    def send(original: Function) -> Function:
        def seen(client: Any, request: Any, **kwargs: Any) -> Any:
            with traffic.call(Call(library), _ask_httpx, request) as call:
                answer = original(client, request, **kwargs)
                traffic.harmless(_see_httpx, call, answer)
                return answer

        return seen

    def send_async(original: Function) -> Function:
        async def seen(client: Any, request: Any, **kwargs: Any) -> Any:
            with traffic.call(Call(library), _ask_httpx, request) as call:
                answer = await original(client, request, **kwargs)
                traffic.harmless(_see_httpx, call, answer)
                return answer

        return seen

    _wrap(getattr(module, "Client", None), "send", send)
    _wrap(getattr(module, "AsyncClient", None), "send", send_async)
    _wrap(getattr(module, "Client", None), "_send_single_request", _single(traffic))
    _wrap(getattr(module, "AsyncClient", None), "_send_single_request", _single_async(traffic))


def _single(traffic: Traffic) -> Callable[[Function], Function]:
    def make(original: Function) -> Function:
        def seen(client: Any, request: Any) -> Any:
            call = current.get()
            if call is None:
                return original(client, request)
            with _Timed(traffic, call, str(request.url)) as timed:
                answer = original(client, request)
                timed.see(answer, "status_code")
                return answer

        return seen

    return make


def _single_async(traffic: Traffic) -> Callable[[Function], Function]:
    def make(original: Function) -> Function:
        async def seen(client: Any, request: Any) -> Any:
            call = current.get()
            if call is None:
                return await original(client, request)
            with _Timed(traffic, call, str(request.url)) as timed:
                answer = await original(client, request)
                timed.see(answer, "status_code")
                return answer

        return seen

    return make


def _ask_httpx(call: Call, request: Any) -> None:
    content = getattr(request, "_content", None)
    is_stream = content is None and request.headers.get("content-length", "0") != "0"
    call.asked(request.method, request.url, request.headers, object() if is_stream else content)


def _see_httpx(call: Call, answer: Any) -> None:
    if answer.history:  # it was led on: what failed, or not, is the last of its requests
        _ask_httpx(call, answer.request)
    call.answered(answer.status_code, answer.headers, _read_already(getattr(answer, "_content", None)))


# ---- urllib.request --------------------------------------------------------------------------------------


def _patch_urllib(module: Any, traffic: Traffic) -> None:
    def do_open(original: Function) -> Function:
        def seen(handler: Any, http_class: Any, req: Any, **kwargs: Any) -> Any:
            with traffic.call(Call("urllib"), _ask_urllib, req) as call, _Timed(traffic, call, call.url) as timed:
                answer = original(handler, http_class, req, **kwargs)
                timed.see(answer, "status")
                call.answered(timed.status, answer.headers, None)
                return answer

        return seen

    _wrap(getattr(module, "AbstractHTTPHandler", None), "do_open", do_open)


def _ask_urllib(call: Call, req: Any) -> None:
    headers = {**req.unredirected_hdrs, **req.headers}
    call.asked(req.get_method(), req.full_url, headers, req.data)


PATCHES: dict[str, Callable[[Any, Traffic], None]] = {
    "urllib3.connectionpool": _patch_urllib3,
    "requests.sessions": _patch_requests,
    "httpx": _patch_httpx,
    "httpx2": _patch_httpx,
    "urllib.request": _patch_urllib,
}
