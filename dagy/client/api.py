"""`DagyClient`: one method for each thing that the API does."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from dagy.client import credentials
from dagy.client.errors import ApiError, ConnectionFailed
from dagy.client.transport import Transport
from dagy.client.types import Artifact, Deployment, FlowInfo, LogLine, Me, Run, Schedule, Secret, Token
from dagy.states import FINAL

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLLOW_SECONDS = (1.0, 5.0)
_PAGE = 200


class DagyClient:
    """A client of the platform's API.

    Without arguments: the server of `DAGY_API_URL` (or the one of the last `dagy login`), with `DAGY_API_KEY` or the
    token that `dagy login` kept. `timeout` is in seconds; `retries` are made where repeating is safe, POSTs with an
    idempotency key. One client serves several threads. Every method raises `ApiError` and its kinds.
    """

    def __init__(
        self, api_url: str | None = None, api_key: str | None = None, *, timeout: float = 10.0, retries: int = 3
    ) -> None:
        url = api_url or os.environ.get("DAGY_API_URL") or credentials.kept_url()
        if not url:
            raise ApiError("No server is known: set DAGY_API_URL, or sign in with `dagy login --api-url URL`.")
        self._transport = Transport(url, None, timeout=timeout, retries=retries)
        self._transport.token = api_key or os.environ.get("DAGY_API_KEY") or credentials.kept_token(self.api_url)

    @property
    def api_url(self) -> str:
        return self._transport.api_url

    # --- who

    def login(self, email: str, password: str, otp: str | None = None, *, keep: bool = True) -> Token:
        """Trade a password (and a code, where a second factor is set up) for a token; `keep` it for later clients."""
        body = {"email": email, "password": password} | ({"otp": otp} if otp else {})
        self._transport.token = None
        token = Token.of(self._transport.request("POST", "/auth/login", body=body, repeatable=False).json())
        self._transport.token = token.access_token
        if keep:
            credentials.keep(self.api_url, token.access_token, token.expires_at)
        return token

    def logout(self) -> None:
        """End the token, and forget it where it was kept."""
        self._transport.request("POST", "/auth/logout", repeatable=False)
        self._transport.token = None
        credentials.forget(self.api_url)

    def me(self) -> Me:
        return Me.of(self._get("/me"))

    # --- flows and deployments

    def flows(self, **filters: Any) -> Iterator[FlowInfo]:
        return map(FlowInfo.of, self._items("/flows", filters))

    def deploy(self, bundle: bytes, *, flow: str, entrypoint: str, sha256: str, **options: Any) -> Deployment:
        """Send a zip of the flow's code. The zip is the body; all else stands in the query: `flow` is its name,
        `entrypoint` `path/in/zip.py:function`, `sha256` the zip's checksum in hex, which the server compares."""
        query = {"flow": flow, "entrypoint": entrypoint, "sha256": sha256, **options}
        answer = self._transport.request(
            "POST", "/deployments", query=query, content=bundle, content_type="application/zip"
        )
        return Deployment.of(answer.json())

    def deployments(self, **filters: Any) -> Iterator[Deployment]:
        return map(Deployment.of, self._items("/deployments", filters))

    # --- runs

    def runs(self, **filters: Any) -> Iterator[Run]:
        """Newest first; page after page as they are asked for. Filters as the API's: `flow`, `status`, `org_id`,
        `from_`, `to`, `error`, `q`."""
        return map(Run.of, self._items("/runs", filters))

    def run(self, run_id: str) -> Run:
        return Run.of(self._get(f"/runs/{_part(run_id)}"))

    def trigger(self, flow: str, parameters: dict[str, Any] | None = None, *, org_id: str | None = None) -> Run:
        body = {"flow": flow, "parameters": parameters or {}} | ({"org_id": org_id} if org_id else {})
        return Run.of(self._post("/runs", body))

    def push(self, archive: bytes, *, sha256: str, org_id: str | None = None) -> Run:
        """Keep a local run on the server: a zip of its files, as `dagy.local.packing` makes it."""
        query = {"sha256": sha256, "org_id": org_id}
        answer = self._transport.request(
            "POST", "/runs/local", query=query, content=archive, content_type="application/zip"
        )
        return Run.of(answer.json())

    def cancel(self, run_id: str, *, reason: str | None = None) -> Run:
        """Raises Conflict where the run has ended."""
        return Run.of(self._post(f"/runs/{_part(run_id)}/cancel", {"reason": reason} if reason else {}))

    def retry(self, run_id: str, *, from_failure: bool = True) -> Run:
        """A new run; `from_failure` reuses the outputs of tasks that succeeded."""
        return Run.of(self._post(f"/runs/{_part(run_id)}/retry", {"from_failure": from_failure}))

    def wait(self, run_id: str, *, timeout: float | None = None) -> Run:
        """Until the run has ended. Raises TimeoutError; the run goes on then."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for pause in _pauses():
            run = self.run(run_id)
            if run.status in FINAL:
                return run
            if deadline is not None and time.monotonic() + pause > deadline:
                raise TimeoutError(f"Run {run_id} is still {run.status} after {timeout:g} s.")
            time.sleep(pause)
        raise AssertionError

    def logs(
        self,
        run_id: str,
        *,
        task_id: str | None = None,
        level: str | None = None,
        q: str | None = None,
        after: int | None = None,
    ) -> Iterator[LogLine]:
        """From the line after the sequence number `after` to the newest that there is now."""
        path = f"/runs/{_part(run_id)}/logs"
        while True:
            query = {"task_id": task_id, "level": level, "q": q, "after": after, "limit": _PAGE}
            items = self._get(path, query)["items"]
            lines = [LogLine.of(item) for item in items]
            yield from lines
            if len(lines) < _PAGE:
                return
            after = lines[-1].sequence

    def follow(self, run_id: str, *, task_id: str | None = None, level: str | None = None) -> Iterator[LogLine]:
        """The log until the run has ended; asked for every second, less often while nothing comes. Once the server
        answered, what breaks off later is waited out."""
        after: int | None = None
        ended = False
        pauses = _pauses()
        while True:
            came = False
            try:
                for line in self.logs(run_id, task_id=task_id, level=level, after=after):
                    after, came = line.sequence, True
                    yield line
                if ended:
                    return
                ended = self.run(run_id).status in FINAL
            except ConnectionFailed:
                if after is None:
                    raise
            if came:
                pauses = _pauses()
            time.sleep(0.0 if ended else next(pauses))

    def artifacts(self, run_id: str) -> list[Artifact]:
        return [Artifact.of(item) for item in self._items(f"/runs/{_part(run_id)}/artifacts", {})]

    def artifact_url(self, run_id: str, task_id: str, name: str) -> str:
        """A presigned address of the artifact's content, good for minutes."""
        found: str = self._get(f"/runs/{_part(run_id)}/artifacts/{_part(task_id)}/{_part(name)}")["url"]
        return found

    # --- schedules and secrets

    def schedules(self, **filters: Any) -> Iterator[Schedule]:
        return map(Schedule.of, self._items("/schedules", filters))

    def create_schedule(self, **fields: Any) -> Schedule:
        return Schedule.of(self._post("/schedules", fields))

    def update_schedule(self, schedule_id: str, **fields: Any) -> Schedule:
        answer = self._transport.request("PATCH", f"/schedules/{_part(schedule_id)}", body=fields)
        return Schedule.of(answer.json())

    def delete_schedule(self, schedule_id: str) -> None:
        self._transport.request("DELETE", f"/schedules/{_part(schedule_id)}")

    def secrets(self, **filters: Any) -> Iterator[Secret]:
        """Their names: values are never read back."""
        return map(Secret.of, self._items("/secrets", filters))

    def put_secret(self, name: str, value: str, **options: Any) -> None:
        self._transport.request("PUT", f"/secrets/{_part(name)}", body={"value": value, **options})

    def delete_secret(self, name: str) -> None:
        self._transport.request("DELETE", f"/secrets/{_part(name)}")

    # --- how

    def _get(self, path: str, query: dict[str, Any] | None = None) -> Any:
        return self._transport.request("GET", path, query=query).json()

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._transport.request("POST", path, body=body).json()

    def _items(self, path: str, filters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        query = {key.rstrip("_"): value for key, value in filters.items()}
        cursor: str | None = None
        while True:
            page = self._get(path, {**query, "cursor": cursor})
            yield from page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DagyClient({self.api_url!r})"


def _part(text: str) -> str:
    return quote(text, safe="")


def _pauses() -> Iterator[float]:
    pause, longest = _FOLLOW_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.5, longest)
