"""`anju-gateway provision`: from a token to a gateway that may connect."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from edge.files import write_whole
from edge.provisioning import credentials
from edge.provisioning.client import EnrolmentClient, EnrolmentError
from edge.provisioning.credentials import AUTHORITY, CERTIFICATE, KEY, CredentialsError
from edge.provisioning.renewal import CREDENTIALS

_PENDING = "pending.key"
_ENROLMENT_AUTHORITY = "enrolment-ca.crt"

_TEMPLATE = """# Written by `anju-gateway provision`; docs/gateway.md names every key.
[gateway]
id = "{gateway}"
data_dir = "{data_dir}"

[cloud_broker]
host = "{host}"
port = {port}
ca_file = "{folder}/{ca}"
cert_file = "{folder}/{cert}"
key_file = "{folder}/{key}"

[provisioning]
url = "{url}"
{ca_line}"""


def run(options: argparse.Namespace) -> int:
    """Make a key, get a certificate, write the configuration if there is none; returns the exit code."""
    token = options.token or sys.stdin.readline().strip()
    folder: Path = options.data_dir / CREDENTIALS
    pending = folder / _PENDING
    try:
        key = credentials.new_key(pending)
        answer = EnrolmentClient(options.url, options.ca).enrol(token, key.request)
        current = credentials.store(folder, key, answer.certificate, answer.authority)
        pending.unlink(missing_ok=True)
        authority = _keep(options.ca, folder) if options.ca else None
    except (EnrolmentError, CredentialsError, OSError) as error:
        print(f"anju-gateway: {error}", file=sys.stderr)
        return 1
    _hand_over(folder, options.data_dir)
    text = _TEMPLATE.format(
        gateway=answer.gateway,
        data_dir=options.data_dir,
        host=answer.broker_host,
        port=answer.broker_port,
        folder=current,
        ca=AUTHORITY,
        cert=CERTIFICATE,
        key=KEY,
        url=options.url,
        ca_line=f'ca_file = "{authority}"\n' if authority else "",
    )
    print(f"{answer.gateway}: certificate in {current}")
    return _configure(options.config, text)


def _keep(authority: Path, folder: Path) -> Path:
    """A copy beside the credentials: the service may not read the home of whoever ran the command."""
    kept = folder / _ENROLMENT_AUTHORITY
    write_whole(kept, authority.read_bytes())
    return kept


def _configure(path: Path, text: str) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        print(f"{path}: written; add the [[devices]] of the home")
    except FileExistsError:
        print(f"{path} is there already and was left alone; these are its new lines:\n\n{text}")
    except OSError as error:
        print(f"anju-gateway: {path}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _hand_over(folder: Path, data_dir: Path) -> None:
    """What root has written belongs to whom the data folder belongs to."""
    owner = data_dir.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
