"""Which role a request needs, by one rule for all routes: a new one cannot be open by mistake."""

from __future__ import annotations

from alphagrad.api.principal import Role

READING = ("GET", "HEAD")
ADMINS = ("/v1/audit", "/v1/webhooks")
"""Below these paths everything is an admin's, reading too."""
BROWSERS = ("/logout",)
"""What a cookie may write: it gives up nothing but itself."""


def needed_role(method: str, path: str) -> Role:
    """The least role for a request.

    Reading is a reader's, everything else a submitter's (on others' studies an admin's), and some
    paths are an admin's alone.

    Args:
        method: of the request.
        path: its decoded path.

    Example:
        >>> needed_role("GET", "/v1/studies"), needed_role("POST", "/v1/studies")
        ('reader', 'submitter')
        >>> needed_role("GET", "/v1/audit")
        'admin'
    """
    if any(path == admins or path.startswith((f"{admins}/", f"{admins}:")) for admins in ADMINS):
        return "admin"
    return "reader" if method in READING or path in BROWSERS else "submitter"
