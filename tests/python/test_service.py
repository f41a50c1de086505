"""The HTTP service of examples/serve, as a program of its own over one model file.

Built by `make serve`, or named by the environment variable ECSEQ_SERVE; skipped where it is not.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ecseq

ROOT = Path(__file__).resolve().parents[2]
SERVER = Path(
    os.environ.get("ECSEQ_SERVE", ROOT / "build" / "release" / "examples" / "serve" / "ecseq_serve")
)
pytestmark = pytest.mark.skipif(
    not SERVER.exists(), reason=f"no {SERVER}: `make serve` builds it, or ECSEQ_SERVE names it"
)

DAY = 86400.0
FEATURES = ["amount", "hour"]
START = time.time() - 10 * DAY  # of what the service sees; training lies before


def make_model(seed: int, hidden_size: int = 8) -> ecseq.ECSeqClassifier:
    """Payments of 60 cards; a label depends on the amount and on the terminal."""
    rng = np.random.default_rng(seed)
    n = 1500
    terminal = rng.integers(0, 20, n)
    amount = rng.normal(size=n)
    table = pd.DataFrame(
        {
            "card": rng.integers(0, 60, n),
            "ts": START - np.sort(rng.uniform(1, 80, n))[::-1] * DAY,
            "amount": amount,
            "hour": rng.integers(0, 24, n),
            "terminal": [f"t{t}" for t in terminal],
            "fraud": (rng.random(n) < np.where(terminal < 5, 0.7, 0.05) + 0.2 * (amount > 1)) * 1,
        }
    )
    cards = ecseq.Sequences.from_frame(
        table, by="card", time="ts", features=FEATURES, label="fraud", entities=["terminal"]
    )
    model = ecseq.ECSeqClassifier(
        encoder="lstm",
        hidden_size=hidden_size,
        relations=[
            ecseq.SimilarityRelation(30),
            ecseq.EntityRelation("terminal", windows=("7d", "all"), label_delay="1d"),
        ],
        max_epochs=8,
        random_state=seed,
    ).fit(cards.windows(10))
    model.user_metadata_ = {"events": {"features": FEATURES}}
    return model


@pytest.fixture(scope="module")
def model() -> ecseq.ECSeqClassifier:
    return make_model(1)


@pytest.fixture(scope="module")
def model_file(model: ecseq.ECSeqClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("service") / "model.ecseq"
    model.save(path)
    return path


class Service:
    """A running server; its log is read as it comes."""

    def __init__(self, model: Path, *options: object) -> None:
        command = [SERVER, "--model", model, "--port", 0, *options]
        self.process = subprocess.Popen(
            [str(part) for part in command], stderr=subprocess.PIPE, text=True
        )
        self.log: list[str] = []
        self.said = threading.Condition()
        self.reader = threading.Thread(target=self._read_log)
        self.reader.start()
        self.port = int(self.wait_for(r"listening on .*:(\d+)"))

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                with self.said:
                    self.log.append(line)
                    self.said.notify_all()

    def wait_for(self, pattern: str) -> str:
        """The first group of the first line that says this."""
        found: list[re.Match[str]] = []

        def look() -> bool:
            found.extend(m for line in self.log if (m := re.search(pattern, line)))
            return bool(found) or self.process.poll() is not None

        with self.said:
            self.said.wait_for(look, timeout=60)
        assert found, f"the log does not say {pattern!r}: {self.log}"
        return found[0].group(1) if found[0].groups() else found[0].group(0)

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and answer. body: text, or something to be written as JSON."""
        text = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
        with contextlib.closing(self.connection()) as connection:
            connection.request(method, path, text)
            answer = connection.getresponse()
            content = answer.read()
        if answer.headers["Content-Type"] == "application/json":
            return answer.status, json.loads(content)
        return answer.status, content.decode()

    def post(self, path: str, body: object) -> Any:
        status, answer = self.ask("POST", path, body)
        assert status == 200, answer
        return answer

    def metrics(self) -> dict[str, float]:
        status, text = self.ask("GET", "/metrics")
        assert status == 200
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def raw(self, data: bytes) -> bytes:
        """All that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextlib.contextmanager
def serving(model: Path, *options: object) -> Iterator[Service]:
    service = Service(model, *options)
    try:
        yield service
        if service.process.poll() is None:
            assert service.stop() == 0, service.log
    finally:
        service.process.kill()
        service.process.wait()
        service.reader.join()


@pytest.fixture(scope="module")
def service(model_file: Path) -> Iterator[Service]:
    """One for the tests that each use users and terminals of their own."""
    with serving(model_file) as running:
        yield running


def payment(user: object, at: float, terminal: object = "t1", amount: float = 0.5) -> Any:
    return {
        "user": user,
        "time": START + at,
        "values": {"amount": amount, "hour": 12},
        "entities": {"terminal": terminal},
    }


def test_scores_a_history_as_the_model_does(service: Service, model: ecseq.ECSeqClassifier) -> None:
    rng = np.random.default_rng(5)
    for terminal in ["t2", "t17", "never seen"]:
        events = rng.normal(size=(6, 2)).astype(np.float32)
        answer = service.post(
            "/score",
            {"events": events.tolist(), "time": START, "entities": {"terminal": terminal}},
        )
        expected = model.predict_proba(
            ecseq.Sequences.from_list([events]), entities={"terminal": [terminal]}, times=[START]
        )
        assert answer["score"] == pytest.approx(expected[0, 1], abs=1e-5)
        base = model.base_scores(ecseq.Sequences.from_list([events]))
        assert answer["base"] == pytest.approx(base[0], abs=1e-5)


def test_follows_a_user_event_by_event(service: Service) -> None:
    history: list[list[float]] = []
    for i in range(8):
        event = payment("follow", i, terminal=None, amount=float(i % 3))
        history.append([event["values"]["amount"], 12.0])
        answer = service.post("/event", event)
        expected = service.post("/score", {"events": history, "time": START + i})
        assert answer["score"] == pytest.approx(expected["score"], abs=1e-5)
        assert answer["event_id"] == "follow@" + repr(START + i).removesuffix(".0")


def test_labels_of_an_entity_move_scores_once_they_are_known(service: Service) -> None:
    asked = {"events": [[0.5, 12]], "time": START + 5 * DAY, "entities": {"terminal": "labelled"}}
    ids = [
        service.post("/event", payment(f"l{i}", 10.0 * i, terminal="labelled"))["event_id"]
        for i in range(12)
    ]
    before = service.post("/score", asked)["score"]
    for event_id in ids[:6]:
        service.post("/label", {"event_id": event_id, "label": 1})
    by_time = [{"user": f"l{i}", "time": START + 10.0 * i, "label": 1} for i in range(6, 12)]
    assert [a["event_id"] for a in service.post("/label", by_time)] == ids[6:]
    assert service.post("/score", asked)["score"] > before + 0.1
    # The delay of a day has not passed.
    early = {**asked, "time": START + DAY / 2}
    assert service.post("/score", early)["score"] < before + 0.1
    status, answer = service.ask("POST", "/label", {"event_id": ids[0], "label": 1})
    assert status == 404
    assert ids[0] in answer["error"]


def test_names_an_event_as_its_client_does(service: Service) -> None:
    event = {**payment(17, 0), "event_id": "payment-1"}
    first = service.post("/event", event)
    assert first["event_id"] == "payment-1"
    status, answer = service.ask("POST", "/event", event)  # sent twice, counts once
    assert status == 400
    assert "event_id" in answer["error"]
    history = {"events": [[0.5, 12], [0.5, 12]], "time": START + 1}
    history["entities"] = {"terminal": "t1"}
    second = service.post("/event", payment(17, 1))
    assert second["score"] == pytest.approx(service.post("/score", history)["score"], abs=1e-5)
    service.post("/label", {"event_id": "payment-1", "label": 0})


def test_answers_each_event_of_a_list(service: Service) -> None:
    answers = service.post(
        "/event", [payment("list", 1), {**payment("list", 2), "time": "now"}, payment("list", 3)]
    )
    assert [sorted(answer) for answer in answers] == [
        ["base", "event_id", "score"],
        ["error"],
        ["base", "event_id", "score"],
    ]
    assert answers[1]["error"].startswith("time: ")


def test_explains(service: Service) -> None:
    answer = service.post(
        "/explain",
        {"events": [[2.0, 3.0]], "time": START, "entities": {"terminal": "t2"}, "top": 2},
    )
    assert len(answer["similar"]) == 2
    assert answer["entities"][0]["by"] == "terminal"
    assert answer["entities"][0]["known"]
    assert len(answer["entities"][0]["facts"]) > 3


def test_explains_an_event_as_it_is_going_to_be_scored(service: Service) -> None:
    for i in range(3):
        service.post("/event", payment("explained", i))
    users = service.ask("GET", "/health")[1]["users"]
    event = payment("explained", 3)
    answer = service.post("/explain", {**event, "top": 2})
    assert len(answer["similar"]) == 2
    assert service.post("/explain", event)["score"] == answer["score"], "nothing of it stayed"
    assert service.ask("GET", "/health")[1]["users"] == users
    scored = service.post("/event", event)["score"]
    assert 1 / (1 + math.exp(-answer["score"])) == pytest.approx(scored, abs=1e-5)
    status, answer = service.ask("POST", "/explain", {"top": 2})
    assert (status, answer["error"]) == (400, "user: missing")


EVENT = payment("bad", 0)


def changed(**fields: object) -> Any:
    return {name: value for name, value in {**EVENT, **fields}.items() if value is not ...}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (changed(user=...), "user: missing"),
        (changed(user=1.5), "user: expected a text or an integer"),
        (changed(user=""), "user: an empty text"),
        (changed(user="x" * 300), "user: longer than 256 bytes"),
        (changed(time=...), "time: missing"),
        (changed(time=True), "time: expected a number, got a truth value"),
        (changed(time=1.7e12), "time: expected seconds since 1970"),
        (changed(time=START + 30 * DAY), "time: more than a day ahead"),
        (changed(values=...), "values: missing"),
        (changed(values=[1]), "values: expected 2 numbers, got 1"),
        (changed(values=[1, "2"]), r"values\[1\]: expected a number, got a text"),
        (changed(values=[1, 1e39]), r"values\[1\]: too large"),
        (changed(values={"amount": 1}), "values.hour: missing"),
        (changed(values={"amount": 1, "hour": None}), "values.hour: expected a number, got null"),
        (changed(values={"amount": 1, "hour": 2, "x": 3}), "values.x: unknown"),
        (changed(values=3), "values: expected a list or an object"),
        (changed(entities={"shop": "s"}), "entities.shop: unknown; the entities are terminal"),
        (changed(entities={"terminal": ["a"]}), "entities.terminal: expected a text"),
        (changed(entities=[]), "entities: expected an object, got a list"),
        (changed(colour="red"), "colour: unknown field; an event has user, time"),
        ("3", "an event: expected an object, got a number"),
        ("", "body: not JSON at byte"),
        ('{"user": 1, "user": 2}', "user: named twice"),
        ('{"time": NaN}', "body: not JSON at byte 10"),
        ('{"time": 1e999}', "body: a number too large"),
        ('{"user": "a"} x', "body: not JSON"),
        ('{"user": "\ud800"}'.encode("utf-8", "surrogatepass"), "body: not JSON"),
        ("[" * 100000, "body: nested deeper than 8"),
    ],
)
def test_refuses_by_name(service: Service, body: object, message: str) -> None:
    status, answer = service.ask("POST", "/event", body)
    assert status == 400
    assert re.match(message, answer["error"]), answer


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/score", {"events": [], "time": 0}, "events: expected 1 to"),
        ("/score", {"events": [[1, 2]]}, "time: missing"),
        ("/score", {"events": [[1, 2]], "times": [1, 2]}, "times: expected one for each"),
        ("/score", {"events": [[1, 2], [1, 2]], "times": [2, 1]}, r"times\[1\]: earlier"),
        ("/score", {"events": [[1, 2], [1]], "time": 0}, r"events\[1\]: expected 2 numbers"),
        ("/explain", {"events": [[1, 2]], "time": 0, "top": 0}, "top: expected a whole number"),
        ("/label", {"event_id": "x", "label": 2}, "label: expected a class from 0 to 1"),
        ("/label", {"event_id": "x", "user": 1, "label": 1}, "event_id: expected either"),
        ("/label", {"user": "x", "label": 1}, "time: missing"),
    ],
)
def test_refuses_by_name_elsewhere(service: Service, path: str, body: object, message: str) -> None:
    status, answer = service.ask("POST", path, body)
    assert status == 400
    assert re.match(message, answer["error"]), answer


def test_paths_and_methods(service: Service) -> None:
    assert service.ask("GET", "/nothing")[0] == 404
    assert service.ask("GET", "/event")[0] == 405
    assert service.ask("DELETE", "/health")[0] == 405
    status, health = service.ask("GET", "/health?full=1")
    assert status == 200
    assert health["version"] == ecseq.__version__
    assert re.fullmatch("[0-9a-f]{16}", health["model"])


def test_speaks_http(model_file: Path) -> None:
    body = b'{"events": [[0.5, 12]], "time": 0}'
    head = b"POST /score HTTP/1.1\r\nHost: x\r\n"
    request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    last = head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    chunked = head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    options = ["--body-bytes", 2000, "--transfer-ms", 300, "--idle-ms", 500]
    with serving(model_file, *options) as service:
        assert service.raw(request + request + last).count(b"HTTP/1.1 200") == 3  # pipelined
        assert service.raw(chunked).startswith(b"HTTP/1.1 200")
        old = b"POST /score HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        assert b" 200 OK" in service.raw(old)
        go_on = head + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        answer = service.raw(go_on % len(body) + body)
        assert b" 200 OK" in answer
        assert service.raw(b"no HTTP at all\r\n\r\n").startswith(b"HTTP/1.1 400")
        assert service.raw(head + b"X: " + b"x" * 9000).startswith(b"HTTP/1.1 431")
        long = service.raw(head + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000)
        assert long.startswith(b"HTTP/1.1 413")
        begun = time.monotonic()
        assert service.raw(head + b"Content-Length: 9\r\n\r\nhalf").startswith(b"HTTP/1.1 408")
        assert service.raw(b"POST /sc").startswith(b"HTTP/1.1 408")
        assert service.raw(b"") == b""  # idle
        assert time.monotonic() - begun < 10
        counts = service.metrics()
        assert counts['ecseq_requests_total{path="other",code="408"}'] == 2
        assert counts['ecseq_requests_total{path="/score",code="200"}'] == 6


def test_counts_what_it_does(model_file: Path) -> None:
    with serving(model_file, "--max-users", 1000) as service:
        for i in range(5):
            service.post("/event", payment(f"u{i % 3}", i, terminal="one"))
        service.post("/label", {"user": "u0", "time": START, "label": 1})
        service.ask("POST", "/event", "{}")
        counts = service.metrics()
    assert counts["ecseq_events_total"] == 5
    assert counts["ecseq_labels_total"] == 1
    assert counts["ecseq_users"] == 3
    assert counts["ecseq_events_waiting"] == 4
    assert counts['ecseq_entities{by="terminal"}'] == 21
    assert counts['ecseq_requests_total{path="/event",code="400"}'] == 1
    assert counts['ecseq_request_seconds_count{path="/event"}'] == 6
    assert counts['ecseq_request_seconds_bucket{path="/event",le="+Inf"}'] == 6
    assert counts["ecseq_staleness_seconds"] == pytest.approx(10 * DAY, rel=0.01)


def test_goes_on_after_a_restart(model_file: Path, tmp_path: Path) -> None:
    events = [payment("c1", i, terminal="kept", amount=0.3 * i) for i in range(6)]
    with serving(model_file) as service:
        expected = [service.post("/event", event)["score"] for event in events]
    with serving(model_file, "--state", tmp_path) as service:
        first = [service.post("/event", event)["score"] for event in events[:3]]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "entities.state",
        "users.state",
    ]
    with serving(model_file, "--state", tmp_path) as service:
        rest = [service.post("/event", event)["score"] for event in events[3:]]
        service.post("/label", {"user": "c1", "time": START, "label": 1})
    assert first + rest == expected

    users = tmp_path / "users.state"
    users.write_bytes(users.read_bytes()[:-1])
    command = [SERVER, "--model", model_file, "--port", "0", "--state", tmp_path]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1
    assert "users.state" in refused.stderr


def test_writes_snapshots_as_it_goes(model_file: Path, tmp_path: Path) -> None:
    with serving(model_file, "--state", tmp_path, "--snapshot-seconds", 0.2) as service:
        service.post("/event", payment("c1", 0))
        until = time.monotonic() + 20
        while not (tmp_path / "entities.state").exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert (tmp_path / "users.state").exists()
        service.process.kill()
        service.process.wait()


def test_loads_another_model_on_request(model_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.ecseq"
    shutil.copy(model_file, path)
    with serving(path) as service:
        events = [payment("c1", i, terminal=None) for i in range(4)]
        service.post("/event", events[:2])
        first = service.ask("GET", "/health")[1]["model"]

        path.write_bytes(path.read_bytes()[:-100])
        service.process.send_signal(signal.SIGHUP)
        service.wait_for("the model in service stays")
        assert service.ask("GET", "/health")[1]["model"] == first
        assert service.metrics()["ecseq_failed_reloads_total"] == 1

        make_model(2).save(path)  # states of the same size
        service.process.send_signal(signal.SIGHUP)
        service.wait_for("the model was loaded again")
        assert service.ask("GET", "/health")[1]["model"] != first
        anew = service.post("/event", events[2])
        history = [[0.5, 12.0]]
        alone = service.post("/score", {"events": history, "time": events[2]["time"]})
        assert anew["score"] == pytest.approx(alone["score"], abs=1e-5)
        counts = service.metrics()
        assert counts["ecseq_reloads_total"] == 1
        assert counts["ecseq_users_restarted_total"] == 1

        make_model(3, hidden_size=12).save(path)  # of another size
        service.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 60
        while service.metrics()["ecseq_reloads_total"] < 2 and time.monotonic() < until:
            time.sleep(0.05)
        service.post("/event", events[3])
        assert service.metrics()["ecseq_users"] == 1


def test_refuses_what_is_too_much(model_file: Path) -> None:
    with serving(model_file, "--max-connections", 2) as service:
        kept = [service.connection() for _ in range(2)]
        for connection in kept:
            connection.request("GET", "/health")
            assert connection.getresponse().read()
        with contextlib.closing(service.connection()) as excess:
            excess.request("POST", "/event", json.dumps(EVENT))
            answer = excess.getresponse()
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "1"
            assert answer.headers["Connection"] == "close"
            assert b"too many connections" in answer.read()
        kept[0].request("GET", "/health")  # those who were there go on
        assert kept[0].getresponse().status == 200
        for connection in kept:
            connection.close()
    with serving(model_file, "--max-in-flight", 0) as service:
        status, answer = service.ask("POST", "/event", EVENT)
        assert status == 503
        assert "too many requests" in answer["error"]
    with serving(model_file, "--max-slow", 0) as service:
        assert service.ask("POST", "/explain", {"events": [[1, 2]], "time": 0})[0] == 503
        assert service.ask("POST", "/event", EVENT)[0] == 200


def test_answers_what_has_come_before_it_stops(model_file: Path, tmp_path: Path) -> None:
    statuses: list[int] = []
    closed = []

    def client(user: int) -> None:
        with contextlib.closing(service.connection()) as connection:
            for i in range(100000):
                connection.request("POST", "/event", json.dumps(payment(user, i)))
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
                if answer.headers["Connection"] == "close":
                    closed.append(user)
                    return

    with serving(model_file, "--state", tmp_path) as service:
        clients = [threading.Thread(target=client, args=(user,)) for user in range(4)]
        idle = service.connection()
        idle.connect()
        for thread in clients:
            thread.start()
        time.sleep(0.5)
        assert service.stop() == 0
        for thread in clients:
            thread.join()
        idle.close()
    assert sorted(closed) == [0, 1, 2, 3]
    assert set(statuses) == {200}
    # All of them are in the snapshot: nothing was answered and lost.
    with serving(model_file, "--state", tmp_path) as service:
        assert service.metrics()["ecseq_users"] == 4
