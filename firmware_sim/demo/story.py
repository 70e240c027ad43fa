"""The story without a person: operator and phones are scripted through the public API; every hop is observed."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from firmware_sim.demo import registry as people
from firmware_sim.demo.processes import DemoError
from firmware_sim.demo.system import DemoSystem, sign_in, wait_for_gateway

_CODE = re.compile(r"(?:码|code )([2-9A-Z]{6})")
_WARM_UP_S = 7.0
"""Signal before the fall: the detector looks back 2.5 s."""


class HopFailedError(Exception):
    """A hop of the story was not observed."""


@dataclass(slots=True)
class Story:
    """Plays and measures; times are Unix seconds of one clock, because everything runs on this machine."""

    system: DemoSystem
    say: Callable[[str], None]
    began: float = field(default_factory=time.time)
    impact_at: float = 0.0
    said: list[tuple[float, str]] = field(default_factory=list)
    stream: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    listener: threading.Thread | None = None
    measured: dict[str, float] = field(default_factory=dict)
    pending: list[tuple[float, str]] = field(default_factory=list)

    def play(self) -> None:
        """From the fall to the close. Raises HopFailedError, DemoError."""
        with contextlib.closing(sign_in(self.system)) as api:
            self._play(api)
        self.stopped.set()

    def leave(self) -> None:
        """Wait for the event stream's thread; the console must have been stopped."""
        if self.listener is not None:
            self.listener.join(10)

    def _play(self, api: httpx.Client) -> None:
        wait_for_gateway(self.system, api)
        self._note("the gateway is online in the console")
        self.listener = threading.Thread(target=self._listen, args=(dict(api.cookies),), daemon=True)
        self.listener.start()
        self._wait("event stream opens", lambda: bool(self.stream), 10)
        time.sleep(_WARM_UP_S)
        self._fall()
        self._hop("home asks the resident", lambda: self._heard("fall_question"), 15)
        incident = self._incident(api)
        message = self._sms(people.FAMILY_PHONE)
        self.measured["raised → phone"] = message["at"] - incident["alarms"][0]["raised_at"]
        self._note(f"the daughter's phone: {message['text']}", message["at"])
        self._hop("home says that help has the call", lambda: self._heard("help_received"), 10)
        self._operator(api, incident["id"])
        self._nurse(api, incident["id"])
        self._close(api, incident["id"])

    def _fall(self) -> None:
        self.system.order("fall")
        fall = self._home_event("fall", 10)
        self.impact_at = fall["impact_at"]
        time.sleep(max(0.0, self.impact_at - time.time()))
        self._note(f"impact ({fall['signal']} signal, {fall['room']})", self.impact_at)

    def _incident(self, api: httpx.Client) -> dict[str, Any]:
        """Nobody answers: the incident arrives on the operator's stream."""
        wait = self.system.options.question_s + 15
        self._hop("incident appears in the console", lambda: self._seen("opened"), wait)
        arrived, event = next((at, e) for at, e in self.stream if e.get("kind") == "opened")
        detail = self._detail(api, event["incident"]["id"])
        alarm = detail["alarms"][0]
        self.measured["impact → pending at the cloud"] = alarm["received_at"] - self.impact_at
        self.measured["pending → raised"] = alarm["raised_at"] - alarm["received_at"]
        self.measured["raised → console"] = arrived - alarm["raised_at"]
        if not any(e["excerpt"] for e in alarm["evidence"]):
            raise HopFailedError("the incident has no signal excerpt")
        return detail

    def _operator(self, api: httpx.Client, incident: str) -> None:
        self._note("the operator claims")
        self._act(api, incident, "claim")
        self._hop("home says that an operator has it", lambda: self._heard("operator_claimed"), 10)
        end = time.time() + 60
        series = api.get(
            f"/api/v1/homes/{people.FULL_HOME}/series",
            params={"metrics": "heart_rate,spo2", "start": end - 3660, "end": end},
        )
        points = sum(len(s["at"]) for s in series.raise_for_status().json())
        if points == 0:
            raise HopFailedError("the operator sees no vitals")
        self._note(f"the operator sees {points} values of vitals, the signal and the place")
        self._answer(people.FAMILY_PHONE, "1", "can_go")
        self._hop("family's answer shows", lambda: self._seen("family_on_the_way"), 10)
        self._note("the daughter answers that she can go")

    def _nurse(self, api: httpx.Client, incident: str) -> None:
        ranked = api.get(f"/api/v1/incidents/{incident}/responders").raise_for_status().json()
        if not any(c["responder"]["id"] == people.NURSE and c["eligible"] for c in ranked):
            raise HopFailedError("the nurse cannot be dispatched")
        sent = time.time()
        self._note("the operator dispatches the nurse")
        self._act(api, incident, "dispatch", responder_id=people.NURSE)
        job = self._sms(people.NURSE_PHONE)
        self._note(f"the nurse's phone: {job['text']}", job["at"])
        self.measured["dispatch → nurse's phone"] = job["at"] - sent
        self._answer(people.NURSE_PHONE, "1", "accepted")
        self._hop("nurse's answer shows", lambda: self._seen("responder_accepted"), 10)
        self._hop("home says that a nurse is on the way", lambda: self._heard("nurse_on_the_way"), 10)
        code = _CODE.search(job["text"])
        if code is None:
            raise HopFailedError("the nurse's message holds no code")
        page = f"{self.system.console}/r/{code[1]}"
        arrived = httpx.post(f"{page}/answer", data={"answer": "arrive"}, follow_redirects=True, trust_env=False)
        if arrived.status_code != 200:
            raise HopFailedError(f"the nurse's page answers {arrived.status_code}")
        self._hop("nurse's arrival shows", lambda: self._seen("responder_arrived"), 10)
        self._hop("home says that help has arrived", lambda: self._heard("responder_arrived"), 10)

    def _close(self, api: httpx.Client, incident: str) -> None:
        self._note("the operator closes: real fall")
        self._act(api, incident, "close", outcome="real_fall", note="髋部疼痛，送医")
        self._hop("home is stood down", lambda: self._heard("stood_down"), 10)
        before = {phone: len(found) for phone, found in self._messages().items()}
        self._wait("family and nurse are stood down", lambda: self._count_stood_down() >= 3, 10)
        detail = self._detail(api, incident)
        if detail["state"] != "closed" or detail["outcome"] != "real_fall":
            raise HopFailedError(f"the incident is {detail['state']}, {detail['outcome']}")
        self._wait("every message has its receipt", lambda: self._all_delivered(api, incident), 10)
        self._note(f"everybody is stood down ({sum(before.values())} messages in all)")

    def _count_stood_down(self) -> int:
        words = ("已结束", "has ended")
        return sum(any(w in m["text"] for w in words) for found in self._messages().values() for m in found)

    def _all_delivered(self, api: httpx.Client, incident: str) -> bool:
        return all(n["state"] == "delivered" for n in self._detail(api, incident)["notifications"])

    def _detail(self, api: httpx.Client, incident: str) -> dict[str, Any]:
        found: dict[str, Any] = api.get(f"/api/v1/incidents/{incident}").raise_for_status().json()
        return found

    def _act(self, api: httpx.Client, incident: str, action: str, **body: object) -> None:
        """As a browser does: on a conflict read anew and decide again."""
        for _ in range(5):
            version = self._detail(api, incident)["version"]
            answer = api.post(f"/api/v1/incidents/{incident}/{action}", json={"version": version, **body})
            if answer.status_code == 200:
                return
            if answer.status_code != 409 or answer.json().get("code") != "version_conflict":
                raise HopFailedError(f"{action}: {answer.status_code} {answer.text[:200]}")
        raise HopFailedError(f"{action}: the version changed five times")

    def _messages(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = httpx.get(f"{self.system.phones}/messages", trust_env=False).json()
        return found

    def _sms(self, phone: str) -> dict[str, Any]:
        self._wait(f"SMS on {phone}", lambda: any(m["incoming"] for m in self._messages().get(phone, ())), 10)
        return next(m for m in self._messages()[phone] if m["incoming"])

    def _answer(self, phone: str, text: str, expected: str) -> None:
        body = {"phone": phone, "text": text}
        result = httpx.post(f"{self.system.phones}/answers", json=body, timeout=15, trust_env=False).json()
        if result.get("result") != expected:
            raise HopFailedError(f"answer {text} of {phone} was taken as {result}, not {expected}")

    def _listen(self, cookies: dict[str, str]) -> None:
        try:
            self._read_stream(cookies)
        except httpx.HTTPError:
            if not self.stopped.is_set():
                self._note("the event stream broke")

    def _read_stream(self, cookies: dict[str, str]) -> None:
        with (
            httpx.Client(base_url=self.system.console, cookies=cookies, timeout=None, trust_env=False) as client,
            client.stream("GET", "/api/v1/events") as answer,
        ):
            for line in answer.iter_lines():
                if self.stopped.is_set():
                    return
                if line.startswith("data:"):
                    self.stream.append((time.time(), json.loads(line[5:])))

    def _seen(self, kind: str) -> bool:
        return any(event.get("kind") == kind for _, event in self.stream)

    def _heard(self, phrase: str) -> bool:
        self._drain()
        return any(p == phrase for _, p in self.said)

    def _drain(self) -> None:
        while True:
            try:
                event = self.system.home_events.get_nowait()
            except queue.Empty:
                return
            self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        if event["event"] == "said":
            self.said.append((event["at"], event["phrase"]))
            self._note(f"the home says: {event['text']}", event["at"])

    def _home_event(self, kind: str, timeout_s: float) -> dict[str, Any]:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            try:
                event = self.system.home_events.get(timeout=0.2)
            except queue.Empty:
                continue
            if event["event"] == kind:
                return event
            self._take(event)
        raise HopFailedError(f"the simulated home did not report {kind!r}")

    def _hop(self, name: str, observed: Callable[[], bool], timeout_s: float) -> None:
        self._wait(name, observed, timeout_s)
        if not name.startswith("home"):
            self._note(name)

    def _wait(self, name: str, observed: Callable[[], bool], timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while not observed():
            self.system.processes.check()
            self.flush(settle_s=1.0)
            if time.monotonic() > end:
                raise HopFailedError(f"not observed within {timeout_s:.0f} s: {name}")
            time.sleep(0.01)

    def _note(self, text: str, at: float | None = None) -> None:
        self.pending.append((at or time.time(), text))

    def flush(self, settle_s: float = 0.0) -> None:
        """Print what happened, in its order; what is younger than `settle_s` may still be overtaken and waits."""
        until = time.time() - settle_s
        ready = sorted(entry for entry in self.pending if entry[0] <= until)
        self.pending = [entry for entry in self.pending if entry[0] > until]
        for at, text in ready:
            mark = f"{at - self.impact_at:+8.2f} s" if self.impact_at else " " * 10
            self.say(f"{mark}  {text}")

    def report(self) -> bool:
        """Print the measured hops against their goals and what the gateway costs; returns whether all goals are met."""
        goals = {
            "impact → pending at the cloud": 5.0,
            "pending → raised": self.system.options.question_s + 1.0,
            "raised → console": 0.3,
            "raised → phone": 1.0,
        }
        self.say("")
        met = True
        for name, seconds in self.measured.items():
            goal = goals.get(name)
            good = goal is None or seconds <= goal
            met &= good
            verdict = "" if goal is None else f"  goal ≤ {goal:g} s  {'met' if good else 'MISSED'}"
            self.say(f"{name:32s} {seconds:7.3f} s{verdict}")
        gateway = self.system.gateway
        if gateway is not None:
            process = psutil.Process(gateway.pid)
            used = process.cpu_times()
            alive = time.time() - process.create_time()
            share = 100 * (used.user + used.system) / alive
            self.say(f"{'gateway':32s} {process.memory_info().rss / 1e6:7.1f} MB RSS, {share:.1f} % of one CPU")
        return met


def play_once(system: DemoSystem, say: Callable[[str], None]) -> int:
    """Play the story; returns the exit code."""
    story = Story(system, say)
    failure: str | None = None
    try:
        story.play()
    except (HopFailedError, DemoError) as error:
        failure = str(error)
    except httpx.HTTPError as error:
        failure = repr(error)
    story.flush()
    if failure is not None:
        say(f"\nFAILED: {failure}\nThe logs are in {system.processes.logs}/")
        return 1
    if not story.report():
        say("every hop was observed; a goal was missed on this machine")
    else:
        say("every hop was observed, every goal met")
    return 0
