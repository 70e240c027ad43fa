"""One renewal of the certificate as a process of its own: the 13 MB that it imports are not the daemon's for ever.

FOLDER URL [CA_FILE]; exit code 0 once the new pair is in use, else 1 and the reason on standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from edge.provisioning import client, credentials


def renew(folder: Path, url: str, ca_file: Path | None) -> None:
    """Ask for a new certificate for a new key, and put both in use. Raises EnrolmentError, CredentialsError."""
    present = credentials.present(folder)
    pending = folder / "pending.key"
    key = credentials.new_key(pending)
    answer = client.EnrolmentClient(url, ca_file).renew(present.certificate, key.request, present.sign(key.request))
    credentials.store(folder, key, answer.certificate, answer.authority)
    pending.unlink(missing_ok=True)


def main(arguments: Sequence[str]) -> int:
    """Entry point."""
    folder, url, *authority = arguments
    try:
        renew(Path(folder), url, Path(authority[0]) if authority else None)
    except (client.EnrolmentError, credentials.CredentialsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
