"""What `dagy login` kept: `credentials.json` in the local directory, for its owner alone."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

from dagy.client.errors import ApiError
from dagy.local import places
from dagy.local.writing import replace

if TYPE_CHECKING:
    from pathlib import Path


def path() -> Path:
    return places.local_dir() / "credentials.json"


def kept_url() -> str | None:
    """The server that was signed in to last."""
    last = _read().get("last")
    return last if isinstance(last, str) else None


def kept_token(api_url: str) -> str | None:
    """Raises ApiError where others could have read the file, or it is no JSON."""
    entry = _read().get("servers", {}).get(api_url)
    return entry.get("access_token") if isinstance(entry, dict) else None


def keep(api_url: str, access_token: str, expires_at: str) -> None:
    known = _read()
    servers = {**known.get("servers", {}), api_url: {"access_token": access_token, "expires_at": expires_at}}
    _write({"last": api_url, "servers": servers})


def forget(api_url: str) -> None:
    known = _read()
    servers = {url: entry for url, entry in known.get("servers", {}).items() if url != api_url}
    _write({"last": known.get("last") if known.get("last") != api_url else None, "servers": servers})


def _read() -> dict[str, Any]:
    file = path()
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            data = opened.read()
    except FileNotFoundError:
        return {}
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise ApiError(f"{file} can be read by others: sign in again after `chmod 600 {file}`, and end the old token.")
    try:
        found = json.loads(data)
    except ValueError:
        raise ApiError(f"{file} is not what `dagy login` wrote: remove it and sign in again.") from None
    return found if isinstance(found, dict) else {}


def _write(content: dict[str, Any]) -> None:
    path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace(str(path()), json.dumps(content, indent=2).encode())
