"""The HTTP side of `listener serve`: signed ingest, health, readiness, metrics."""

import asyncio
import json
import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from connectors.signature import SignatureError
from connectors.webhook import WebhookConfig, verify
from listener.app import Service, SourceInbox
from listener.errors import ConfigError, InputError, ListenerError, TemporaryError

SERVICE: web.AppKey[Service] = web.AppKey("service", Service)
log = logging.getLogger("listener.web")
_LARGEST = 16 * 1024 * 1024  # above every source's own limit


def application(service: Service) -> web.Application:
    """The routes over a service; bodies are bounded, errors are JSON."""
    app = web.Application(client_max_size=_LARGEST, middlewares=[_errors])
    app[SERVICE] = service
    app.router.add_post("/ingest/{source}", ingest)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


async def start(service: Service) -> tuple[web.AppRunner, str]:
    """Listen where the settings say; gives the runner, to be cleaned up, and the address. Raises ConfigError."""
    serve = service.app.settings.serve
    runner = web.AppRunner(application(service), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, serve.host, serve.port).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(
            f"cannot listen on {serve.host}:{serve.port}: {error.strerror or error}", "serve.port"
        ) from error
    host, port = runner.addresses[0][:2]
    return runner, f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def ingest(request: web.Request) -> web.Response:
    """Take a signed push into the durable inbox: 202 only after it is stored, 200 where it was there already."""
    service = request.app[SERVICE]
    if not service.ready.is_set():  # a sender takes 404 for good and this for now
        raise TemporaryError("the service is starting or stopping", retry_after=5.0)
    name = request.match_info["source"]
    source = service.sources.get(name)
    if source is None or not isinstance(source.config, WebhookConfig):
        raise web.HTTPNotFound(text=f"there is no webhook source named {name!r} in the settings")
    now = service.app.now()
    status = 503
    try:
        if (request.content_length or 0) > source.config.max_bytes:
            raise web.HTTPRequestEntityTooLarge(source.config.max_bytes, request.content_length or 0)
        body = await request.read()
        if len(body) > source.config.max_bytes:
            raise web.HTTPRequestEntityTooLarge(source.config.max_bytes, len(body))
        event = verify(source.config, request.headers, body, now)
        inbox = SourceInbox(service.app.engine, name)
        inbox.arrived = source.wake.set
        status = 202 if await inbox.put(event, body, now) else 200
    except web.HTTPException as error:
        status = error.status
        raise
    except SignatureError as error:
        status = 401
        raise web.HTTPUnauthorized(text=str(error)) from error
    except InputError as error:
        status = 400
        raise web.HTTPBadRequest(text=str(error)) from error
    finally:
        service.app.metrics.inbox.labels(name, str(status)).inc()
    return web.json_response({"event": event, "stored": status == 202}, status=status)


async def healthz(request: web.Request) -> web.Response:
    """200 while the process answers."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """200 once the classifier is loaded and the store can be read, else 503."""
    service = request.app[SERVICE]
    if not service.ready.is_set():
        return web.json_response({"status": "starting"}, status=503)
    try:
        async with asyncio.timeout(5):
            await service.app.engine.settings()
    except (TimeoutError, ListenerError) as error:
        return web.json_response({"status": "the store cannot be read", "detail": str(error)}, status=503)
    return web.json_response({"status": "ready"})


async def metrics(request: web.Request) -> web.Response:
    """The counters in Prometheus' format."""
    service = request.app[SERVICE]
    service.app.note_queues()
    return web.Response(body=service.app.metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure as JSON: what went wrong and, where it helps, when to come again."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _failure(error.status, error.text or error.reason)
    except TemporaryError as error:
        seconds = max(1, round(error.retry_after or 5))
        return _failure(503, str(error), {"Retry-After": str(seconds)})
    except ConfigError as error:
        log.error("settings: %s", error)
        return _failure(503, "the service's settings need a person", {"Retry-After": "60"})
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return _failure(500, "unexpected failure; the log has the details")


def _failure(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = json.dumps({"error": {"status": status, "message": message}})
    return web.Response(status=status, text=body, content_type="application/json", headers=headers)
