"""Where a webhook may go: https, a global address, resolved once and then pinned (guards against SSRF)."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SHARED = ipaddress.ip_network("100.64.0.0/10")


class TargetError(ValueError):
    """The address may not be called."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address: connect to `address`, speak as if to `host`."""

    url: str
    scheme: str
    host: str
    port: int
    address: str

    @property
    def pinned_url(self) -> str:
        """The URL with the address instead of the name."""
        parts = urlsplit(self.url)
        address = f"[{self.address}]" if ":" in self.address else self.address
        return parts._replace(netloc=f"{address}:{self.port}").geturl()


def is_global(address: str) -> bool:
    """Whether an address belongs to the public internet; IPv4 inside IPv6 is judged as IPv4."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip in _NAT64 or ip.sixtofour is not None or ip.teredo is not None:
            return False
    if isinstance(ip, ipaddress.IPv4Address) and ip in _SHARED:
        return False
    return ip.is_global and not ip.is_multicast


async def resolve(url: str, *, allow_private: bool, allowed_hosts: tuple[str, ...]) -> Target:
    """Check `url` and pin its address. Raises TargetError, and OSError where the name cannot be resolved."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host or parts.username or parts.password:
        raise TargetError(f"{url}: must be https://HOST… without credentials")
    if parts.scheme == "http" and not allow_private:
        raise TargetError(f"{url}: plain http is refused")
    if allowed_hosts and host not in allowed_hosts:
        raise TargetError(f"{url}: {host} is not in notify.allowed_hosts")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise TargetError(f"{url}: {error}") from None
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private:
        for address in addresses:
            if not is_global(address):
                raise TargetError(f"{url}: {address} is not a public address")
    return Target(url, parts.scheme, host, port, addresses[0])
