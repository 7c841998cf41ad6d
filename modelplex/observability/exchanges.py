"""The one log line of an exchange. No body, no key, no header of the guest's."""

from __future__ import annotations

from twisted.logger import Logger

from modelplex.exchange import Exchange

_LINE = (
    "{request_id} {guest} {operation} {model} -> {provider} {status} "
    "{total_ms}ms{ending}"
)


def log_exchange(log: Logger, exchange: Exchange, now: float, verbose: bool) -> None:
    """
    Say how `exchange` went: one line, and with `verbose` one more an attempt.

    Times are whole milliseconds; what is not known is ``None``.
    """
    if verbose:
        for number, attempt in enumerate(exchange.attempts, 1):
            log.debug(
                "{request_id} attempt {number}: {provider} {target}: {outcome} "
                "after {ms}ms",
                request_id=exchange.request_id,
                number=number,
                provider=attempt.provider,
                target=attempt.model,
                outcome=attempt.outcome,
                ms=round(attempt.seconds * 1000),
            )
    error = exchange.error
    if not exchange.status and error is None:
        error = "cancelled"
    first_ms = None
    if exchange.first_event is not None:
        first_ms = round((exchange.first_event - exchange.started) * 1000)
    log.info(
        _LINE,
        event="exchange",
        request_id=exchange.request_id,
        guest=exchange.guest,
        operation=exchange.operation.value,
        model=exchange.model,
        provider=exchange.provider or "-",
        target=exchange.target,
        attempts=len(exchange.attempts),
        stream=exchange.stream,
        status=exchange.status,
        total_ms=round((now - exchange.started) * 1000),
        first_ms=first_ms,
        input_tokens=exchange.input_tokens,
        output_tokens=exchange.output_tokens,
        finish=exchange.finish,
        dropped=list(exchange.dropped),
        error=error,
        ending=_ending(exchange, first_ms, error),
    )


def _ending(exchange: Exchange, first_ms: int | None, error: str | None) -> str:
    """The end of the line for a person: only what is known."""
    said = ""
    if first_ms is not None:
        said += f", first byte {first_ms}ms"
    if exchange.input_tokens is not None:
        said += f", {exchange.input_tokens}+{exchange.output_tokens} tokens"
    return said if error is None else f"{said} ({error})"
