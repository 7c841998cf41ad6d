"""
Hypothesis strategies for canonical requests and replies that every dialect shares.

`requests` and `reply_events` give what is legal, using only the features asked for;
`wild_messages` gives what guests send all the same. Everything is kept small: a
failure is found by many little examples, not by a big one.
"""

from __future__ import annotations

from modelplex.testing.answered import reply_events, usages
from modelplex.testing.asked import requests
from modelplex.testing.conversations import ALL, messages, wild_messages
from modelplex.testing.pieces import (
    arguments,
    chopped,
    cut,
    ids,
    json_objects,
    json_values,
    names,
    schemas,
    texts,
)

__all__ = [
    "ALL",
    "arguments",
    "chopped",
    "cut",
    "ids",
    "json_objects",
    "json_values",
    "messages",
    "names",
    "reply_events",
    "requests",
    "schemas",
    "texts",
    "usages",
    "wild_messages",
]
