"""When an upstream says a request may be tried again."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

LONGEST = 24 * 3600.0  # seconds; a longer wait is taken for this one


def retry_after(
    header: str | None, milliseconds: str | None, now: float
) -> float | None:
    """
    Seconds to wait, from the three forms in use.

    :param header: ``retry-after``, seconds or an HTTP date (RFC 9110 §10.2.3).
    :param milliseconds: ``retry-after-ms``, as OpenAI sends it.
    :param now: seconds since 1970.
    :returns: ``None`` when neither says anything readable.
    """
    for text, unit in ((milliseconds, 0.001), (header, 1.0)):
        if text is not None and re.fullmatch(r"\d{1,12}(\.\d{1,9})?", text.strip()):
            return min(float(text) * unit, LONGEST)
    if header is None:
        return None
    try:
        date = parsedate_to_datetime(header.strip())
        if date.tzinfo is None:  # the asctime form has no zone and means UTC
            date = date.replace(tzinfo=UTC)
        seconds = date.timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST)
