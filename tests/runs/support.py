"""Bundles of flows, as `dagy deploy` makes them."""

import hashlib
import io
import zipfile

FLOWS = """
from dagy import flow, task

@task
def extract(day):
    return [1, 2, 3]

@task
def load(rows):
    return len(rows)

@flow(version="2026.1")
def nightly(day: str = "today"):
    load(extract(day))
"""


def bundle(files: dict[str, str] | None = None) -> tuple[bytes, str]:
    """A zip and its checksum; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (files or {"flows.py": FLOWS}).items():
            archive.writestr(zipfile.ZipInfo(name), text)
    data = buffer.getvalue()
    return data, hashlib.sha256(data).hexdigest()
