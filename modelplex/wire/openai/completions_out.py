"""The canonical request as a legacy completion, when it is one prompt and no more."""

from __future__ import annotations

from modelplex.errors import UnsupportedField
from modelplex.events import JSON, Request, Role, Text
from modelplex.wire.dialect import Encoded
from modelplex.wire.fidelity import admit
from modelplex.wire.openai.chat_out import compact, settings
from modelplex.wire.openai.fidelity import COMPLETIONS

# Tokens, when the guest names no limit. OpenAI's own is 16, which a guest of OpenAI's
# dialect gets when it is read, and which nobody else expects.
_USUAL_OUTPUT = 1024


def encode_request(request: Request) -> Encoded:
    """
    Compact JSON; the same request always gives the same bytes.

    :raises UnsupportedField: the request is a conversation, or more than text.
    """
    dropped = admit(request, COMPLETIONS)
    body: dict[str, JSON] = {
        "model": request.model,
        "prompt": _prompt(request),
        "suffix": request.suffix,
        "max_tokens": request.max_tokens or _USUAL_OUTPUT,
        **settings(request),
        "logprobs": request.logprobs,
    }
    return Encoded(compact(body), dropped)


def _prompt(request: Request) -> str:
    messages = request.messages
    if len(messages) != 1 or messages[0].role is not Role.USER:
        raise UnsupportedField(
            "messages: a completion has one prompt and no conversation",
            param="messages",
        )
    return "\n\n".join(p.text for p in messages[0].parts if isinstance(p, Text))
