"""One HTTP request, for tests that ask a server what a browser would see."""

import base64
import urllib.error
import urllib.request
from http.client import HTTPException


def answer(url: str, login: str | None = None, *, post: bool = False) -> tuple[int, str]:
    """Status and text of one request; 0 when nobody listens."""
    request = urllib.request.Request(url, data=b"{}" if post else None)
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, ""
    except (OSError, HTTPException):
        return 0, ""
