"""The HTTP of an InfluxDB server: queries, writes, and the making of databases, buckets and retention."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import httpx
import msgspec
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException

from cloud.config import InfluxDB
from cloud.timeseries.base import StoreError

_CHUNK = 10_000
_DAY_S = 86_400
_STREAM_READ_S = 600.0


class Refused(Exception):  # noqa: N818 - not an error of the server, an answer about lines
    """The server says that lines of a write are wrong; `dropped` is how many, None where it does not say."""

    def __init__(self, words: str, dropped: int | None) -> None:
        super().__init__(words)
        self.words = words
        self.dropped = dropped


class Series(msgspec.Struct, frozen=True):
    """One series of a query's answer; times are milliseconds."""

    columns: list[str]
    values: list[list[Any]] = []
    name: str = ""
    tags: dict[str, str] = {}


class _Result(msgspec.Struct, frozen=True):
    statement_id: int = 0
    series: list[Series] = []
    error: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    results: list[_Result] = []
    error: str | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class InfluxServer:
    """Connections to one server. Setting `config.org` chooses the 2.x way of naming and signing in."""

    def __init__(self, config: InfluxDB, password: str = "", token: str = "") -> None:
        self.config = config
        self.is_v2 = config.org is not None
        self._password = password
        self._token = token if self.is_v2 else f"{config.username}:{password}" if config.username else ""
        self._writer: InfluxDBClientAsync | None = None
        self._http: httpx.AsyncClient | None = None

    async def open(self) -> None:
        """Make the connections, once; nothing is sent yet."""
        if self._http is not None:
            return
        config = self.config
        timeout = int(config.timeout_s * 1000)
        self._writer = InfluxDBClientAsync(config.url, token=self._token, org=config.org or "-", timeout=timeout)
        auth = httpx.BasicAuth(config.username, self._password) if config.username and not self.is_v2 else None
        headers = {"Authorization": f"Token {self._token}"} if self.is_v2 else {}
        self._http = httpx.AsyncClient(
            base_url=config.url, auth=auth, headers=headers, timeout=config.timeout_s, trust_env=False
        )

    async def close(self) -> None:
        """Close the connections."""
        writer, self._writer = self._writer, None
        http, self._http = self._http, None
        if writer is not None:
            await writer.close()  # type: ignore[no-untyped-call]
        if http is not None:
            await http.aclose()

    def bucket(self, policy: str) -> str:
        """Name of the bucket of a retention policy, as /api/v2/write of all versions takes it."""
        return f"{self.config.database}/{policy}"

    async def write(self, policy: str, body: bytes) -> None:
        """Write lines (nanoseconds). Raises Refused for wrong lines, StoreError for everything else."""
        if self._writer is None:
            raise StoreError("the store is not open")
        try:
            write = self._writer.write_api().write
            await write(self.bucket(policy), record=body, write_precision="ns")  # type: ignore[arg-type]
        except ApiException as error:
            words = str(error.message or error.reason or "")[:500]
            raise _meaning(self.config.url, error.status or 0, words) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise StoreError(f"{self.config.url}: {str(error) or type(error).__name__}") from error

    async def query(self, statements: Sequence[str]) -> list[list[Series]]:
        """The series of each statement, in one request. Raises StoreError."""
        if not statements:
            return []
        answer = await self._request("POST", "/query", {"q": "; ".join(statements), **self._place()})
        found = self._checked(_decode(answer.content))
        by_statement: list[list[Series]] = [[] for _ in statements]
        for result in found.results:
            by_statement[result.statement_id] += result.series
        return by_statement

    async def stream(self, statement: str) -> AsyncIterator[list[Series]]:
        """The series of one statement piece by piece, for answers of any size. Raises StoreError."""
        values = {"q": statement, "chunked": "true", "chunk_size": str(_CHUNK), **self._place()}
        try:
            # Before the first piece the server looks through all series: a district's take minutes.
            patient = httpx.Timeout(self.config.timeout_s, read=_STREAM_READ_S)
            async with self._opened().stream("POST", "/query", data=values, timeout=patient) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    raise StoreError(f"{self.config.url}: {answer.status_code} {answer.text[:300]}")
                async for line in answer.aiter_lines():
                    if line:
                        for result in self._checked(_decode(line)).results:
                            yield result.series
        except httpx.HTTPError as error:
            raise StoreError(f"{self.config.url}: {str(error) or type(error).__name__}") from error

    def _place(self) -> dict[str, str]:
        return {"db": self.config.database, "rp": self.config.retention_policy, "epoch": "ms"}

    def _opened(self) -> httpx.AsyncClient:
        if self._http is None:
            raise StoreError("the store is not open")
        return self._http

    async def _request(
        self, method: str, path: str, data: dict[str, str] | None = None, *, missing_is_fine: bool = False, **more: Any
    ) -> httpx.Response:
        try:
            answer = await self._opened().request(method, path, data=data, **more)
        except httpx.HTTPError as error:
            raise StoreError(f"{self.config.url}: {str(error) or type(error).__name__}") from error
        if answer.status_code >= 300 and not (missing_is_fine and answer.status_code == 404):
            raise StoreError(f"{self.config.url}: {answer.status_code} {answer.text[:300].strip()}")
        return answer

    def _checked(self, answer: _Answer) -> _Answer:
        for error in (answer.error, *(result.error for result in answer.results)):
            if error is not None:
                raise StoreError(f"{self.config.url}: {error}")
        return answer

    async def version(self) -> str:
        """The server's version, as it says. Raises StoreError."""
        answer = await self._request("GET", "/ping")
        return str(answer.headers.get("X-Influxdb-Version", "unknown"))

    async def clock(self) -> float | None:
        """The server's time in Unix seconds; None if its answer has no Date. Raises StoreError."""
        date = (await self._request("GET", "/ping")).headers.get("Date")
        return parsedate_to_datetime(date).timestamp() if date else None

    # --- databases, buckets, retention --------------------------------------------------------------------------------

    async def create(self, policies: dict[str, float | None]) -> list[str]:
        """Make what is missing and set how long each policy keeps its data (days; None: for ever).

        Returns a line for everything that was changed. Raises StoreError.
        """
        return await (self._create_v2(policies) if self.is_v2 else self._create_v1(policies))

    async def _create_v1(self, policies: dict[str, float | None]) -> list[str]:
        database = self.config.database
        done: list[str] = []
        if database not in await self._names("SHOW DATABASES"):
            await self._admin(f'CREATE DATABASE "{database}"')
            done.append(f"database {database}: created")
        known = {row[0]: row[1] for row in await self._rows(f'SHOW RETENTION POLICIES ON "{database}"')}
        for policy, days in policies.items():
            duration = "INF" if days is None else f"{round(days * 24)}h"
            wanted = "0s" if days is None else f"{round(days * 24)}h0m0s"
            if policy not in known:
                await self._admin(
                    f'CREATE RETENTION POLICY "{policy}" ON "{database}" DURATION {duration} REPLICATION 1'
                )
                done.append(f"retention policy {policy}: created, keeps {duration}")
            elif known[policy] != wanted:
                await self._admin(f'ALTER RETENTION POLICY "{policy}" ON "{database}" DURATION {duration}')
                done.append(f"retention policy {policy}: {known[policy]} → {duration}")
        return done

    async def _create_v2(self, policies: dict[str, float | None]) -> list[str]:
        orgs = (await self._request("GET", "/api/v2/orgs", params={"org": self.config.org})).json().get("orgs", [])
        if not orgs:
            raise StoreError(
                f"{self.config.url}: there is no organisation {self.config.org}, or the token may not see it"
            )
        done: list[str] = []
        for policy, days in policies.items():
            name = self.bucket(policy)
            rules = [] if days is None else [{"type": "expire", "everySeconds": round(days * _DAY_S)}]
            found = await self._bucket(policy)
            if not found:
                body = {"orgID": orgs[0]["id"], "name": name, "retentionRules": rules}
                await self._request("POST", "/api/v2/buckets", json=body)
                done.append(f"bucket {name}: created, keeps {f'{days:g} days' if days is not None else 'for ever'}")
            elif _seconds(found.get("retentionRules", [])) != _seconds(rules):
                await self._request("PATCH", f"/api/v2/buckets/{found['id']}", json={"retentionRules": rules})
                done.append(f"bucket {name}: now keeps {f'{days:g} days' if days is not None else 'for ever'}")
        return done

    async def problems(self, policies: dict[str, float | None]) -> list[str]:
        """What is wrong with the server, a line each; none if it can be used. Raises StoreError if it is away."""
        version = (await self.version()).lstrip("v").split("-")[0]
        major, _, rest = version.partition(".")
        if major.isdigit():  # one built without its release script calls itself "unknown"
            if major not in ("1", "2") or (major == "1" and int(rest.partition(".")[0]) < 8):
                return [f"{self.config.url} is version {version}; 1.8 or 2.x is needed"]
            if (major == "2") != self.is_v2:
                must = "must" if major == "2" else "must not"
                return [f"{self.config.url} is version {version}: timeseries.influxdb.org {must} be set"]
        return await (self._problems_v2(policies) if self.is_v2 else self._problems_v1(policies))

    async def _problems_v1(self, policies: dict[str, float | None]) -> list[str]:
        if self.config.database not in await self._names("SHOW DATABASES"):
            return [f"{self.config.url} has no database {self.config.database}: anju-cloud timeseries init"]
        known = await self._names(f'SHOW RETENTION POLICIES ON "{self.config.database}"')
        found = [f"retention policy {p} is missing: anju-cloud timeseries init" for p in policies if p not in known]
        for series in (await self.query(["SHOW DIAGNOSTICS"]))[0]:
            limits = dict(zip(series.columns, series.values[0], strict=False)) if series.values else {}
            found += [
                f"[data] {name} is {limits[name]}: beyond it new homes are refused; set it to 0 in influxdb.conf"
                for name in ("max-values-per-tag", "max-series-per-database")
                if series.name == "config-data" and int(limits.get(name) or 0)
            ]
        return found

    async def _problems_v2(self, policies: dict[str, float | None]) -> list[str]:
        missing = [self.bucket(policy) for policy in policies if not await self._bucket(policy)]
        return [
            f"bucket {name} is missing, or the token may not read it: anju-cloud timeseries init" for name in missing
        ]

    async def _bucket(self, policy: str) -> dict[str, Any]:
        """The bucket of a policy as the server describes it; empty if there is none."""
        params = {"name": self.bucket(policy), "org": str(self.config.org)}
        answer = await self._request("GET", "/api/v2/buckets", missing_is_fine=True, params=params)
        buckets = answer.json().get("buckets", []) if answer.status_code == 200 else []
        return dict(buckets[0]) if buckets else {}

    async def _admin(self, statement: str) -> None:
        answer = await self._request("POST", "/query", {"q": statement})
        self._checked(_decode(answer.content))

    async def _rows(self, statement: str) -> list[list[Any]]:
        answer = await self._request("POST", "/query", {"q": statement})
        return [row for r in self._checked(_decode(answer.content)).results for s in r.series for row in s.values]

    async def _names(self, statement: str) -> list[str]:
        return [str(row[0]) for row in await self._rows(statement)]


def _seconds(rules: list[dict[str, Any]]) -> int:
    return int(rules[0].get("everySeconds", 0)) if rules else 0


_WRONG_DATA = frozenset({400, 413, 422})
_CAPACITY = ("max-values-per-tag", "max-series-per-database", "timeout", "no space left", "engine is closed")


def _meaning(url: str, status: int, words: str) -> Exception:
    """Whether an answer to a write is about the lines, or about the server and to be waited out.

    1.x says `partial write: … dropped=N` with 400; 2.x the same with 422, and 400 where a line cannot be read.
    """
    if status not in _WRONG_DATA or any(part in words for part in _CAPACITY):
        return StoreError(f"{url}: {status} {words}")
    if status == 413:
        return Refused(words or "too large", None)
    _, found, number = words.rpartition("dropped=")
    digits = "".join(c for c in number[:12].split("\n")[0] if c.isdigit()) if found else ""
    return Refused(words, int(digits) if digits else None)
