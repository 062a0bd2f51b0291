"""How log lines look: structured, on standard error, as text for people or JSON for machines."""

import logging
import sys

import structlog

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(log_format: str, log_level: str, stream: object = None) -> None:
    """Set up structlog and the standard library's logging alike.

    Args:
        log_format: "console" or "json".
        log_level: "debug", "info", "warning" or "error".
        stream: a text stream to write to, standard error by default.
    """
    target = stream if stream is not None else sys.stderr
    level = _LEVELS[log_level]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    last: structlog.typing.Processor = structlog.dev.ConsoleRenderer(
        colors=hasattr(target, "isatty") and target.isatty()
    )
    if log_format == "json":
        last = structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(target)  # type: ignore[arg-type]  # any text stream
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # uvicorn.error tells of every socket of a page at "info", with the id that the page is known by.
    for noisy in ("uvicorn.access", "uvicorn.error", "urllib3", "httpx", "asyncio", "alembic"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
