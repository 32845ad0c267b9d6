"""Signatures in the manner of Standard Webhooks (standardwebhooks.com)."""

from __future__ import annotations

import base64
import hmac
import secrets

PREFIX = "whsec_"


def make_secret() -> str:
    """A new secret of 32 random bytes, as receivers' libraries take it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signed_headers(secret: str, *, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers that let a receiver check who sent a body, and when.

    Args:
        secret: the webhook's secret.
        message_id: the same for each attempt at one message.
        at: seconds since 1970, of this attempt.
        body: the body, byte by byte.

    Example:
        >>> secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        >>> signed_headers(secret, message_id="m", at=1, body=b"{}")["webhook-signature"][:3]
        'v1,'
    """
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{at}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{signature}",
    }
