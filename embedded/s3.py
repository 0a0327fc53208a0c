"""OpenStack Swift with its S3 interface, by the `swift` package."""

from __future__ import annotations

import os
import pwd
import sys
from dataclasses import dataclass, field
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.files import write_private
from embedded.ports import is_open
from embedded.processes import Child, spawn
from embedded.profile import ROOT, Profile

ACCESS_KEY = "dagy:dagy"
REGION = "us-east-1"

_SWIFT = """\
[swift-hash]
swift_hash_path_prefix = {prefix}
swift_hash_path_suffix = {suffix}

[storage-policy:0]
name = default
default = yes
"""

_DEFAULT = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
# 0 keeps a server in one process: workers would multiply the memory
workers = 0
user = {user}
swift_dir = {directory}
devices = {devices}
mount_check = false
disable_fallocate = true
log_level = WARNING
log_custom_handlers = embedded.swift_server.log_to_file

"""

_BACKEND = """\
[pipeline:main]
pipeline = {server}-server

[app:{server}-server]
use = egg:swift#{server}
# no updater runs: an object of which its container does not hear in time would stay out of listings
container_update_timeout = 30
"""

_PROXY = """\
[pipeline:main]
pipeline = catch_errors cache listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true

[filter:cache]
paste.filter_factory = embedded.swift_cache:filter_factory

[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
multi_delete_concurrency = 16
auth_pipeline_check = false
max_bucket_listing = 1000

[filter:tempauth]
use = egg:swift#tempauth
user_dagy_dagy = {secret} .admin
# may do only what a bucket's own access list grants: for tests of refusals
user_dagy_reader = {secret}

[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
"""
_PLAIN_FILTERS = ("catch_errors", "listing_formats", "bulk", "copy", "slo", "dlo", "symlink")


@dataclass
class S3:
    """The endpoint on 127.0.0.1:`ports["s3"]`, three servers behind it, the data in `<profile>/s3`."""

    profile: Profile
    ports: dict[str, int]
    secret: str
    hash_prefix: str
    hash_suffix: str
    name: str = field(default="S3", init=False)

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['s3']}"

    def launch(self, env: dict[str, str]) -> Child:
        """Start it. Raises EmbeddedError where the file system cannot hold objects' metadata."""
        directory = self.profile.fresh_directory("s3")
        devices = directory / "devices"
        (devices / "d1").mkdir(parents=True, exist_ok=True)
        _require_extended_attributes(devices)
        self._write_configuration(directory, devices)
        return spawn(
            self.name,
            [sys.executable, "-m", "embedded.swift_server", directory],
            log=self.profile.logs / "s3.log",
            env=env,
            cwd=ROOT,
        )

    def is_ready(self) -> bool:
        return all(is_open(port) for port in self.ports.values())

    def _write_configuration(self, directory: Path, devices: Path) -> None:
        swift = _SWIFT.format(prefix=self.hash_prefix, suffix=self.hash_suffix)
        write_private(directory / "swift.conf", swift)
        filters = "".join(f"\n[filter:{name}]\nuse = egg:swift#{name}\n" for name in _PLAIN_FILTERS)
        parts = {server: _BACKEND.format(server=server) for server in ("account", "container", "object")}
        parts["proxy"] = _PROXY.format(secret=self.secret) + filters
        for server, text in parts.items():
            port = self.ports["s3" if server == "proxy" else f"s3_{server}"]
            head = _DEFAULT.format(
                port=port, user=pwd.getpwuid(os.geteuid()).pw_name, directory=directory, devices=devices
            )
            write_private(directory / f"{server}.conf", head + text)
            write_private(directory / f"{server}.port", str(port))


def _require_extended_attributes(directory: Path) -> None:
    probe = directory / ".probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.swift.probe", b"1")
    except OSError:
        raise EmbeddedError(
            f"The file system of {directory} has no extended attributes, which the S3 server needs: "
            "put the checkout on ext4, xfs or btrfs, or set AWS_ENDPOINT_URL_S3."
        ) from None
    finally:
        probe.unlink()
