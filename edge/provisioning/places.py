"""Names of the files of a gateway's credentials, for those who need no cryptography to know them."""

from __future__ import annotations

KEY, CERTIFICATE, AUTHORITY = "gateway.key", "gateway.crt", "ca.crt"
CURRENT = "current"
"""A link to the folder in use."""
