#!/usr/bin/env python3
"""Load on `attend-serve`, and what becomes of it.

    python3 benches/serve.py PROGRAMS MODEL PICTURES

PROGRAMS is the folder of the built programs (target/release), MODEL that of a model artifact,
PICTURES one of image files. Measures, on this machine and in this order:

- throughput: `wrk` (Debian's package), 64 clients, each picture in turn, without the cache,
  beside `attend-caption` on the same pictures; alternating, three rounds, medians;
- 20,000 requests of 64 clients, good and hostile mixed; every good one must get the caption that
  `attend-caption` gives, in memory that doesn't grow;
- SIGTERM under load: every request that the service has begun to read must be answered.

Prints a table, and fails if a promise is broken.
"""

from __future__ import annotations

import http.client
import json
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from pathlib import Path

CLIENTS = 64
REQUESTS = 20_000
ROUNDS = 3
SECONDS = 10


class Service:
    """A running service."""

    def __init__(self, programs: Path, model: Path, *options: str) -> None:
        words = [programs / "attend-serve", "--model", model, "--listen", "127.0.0.1:0", *options]
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.url = self.process.stdout.readline().strip()
        self.host, port = self.url.removeprefix("http://").split(":")
        self.port = int(port)
        while self.get("/readyz")[0] != 200:
            time.sleep(0.05)

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def resident(self) -> int:
        """Resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if "VmRSS" in line).split()[1]) >> 10

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()


def main(arguments: list[str]) -> int:
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    programs, model, folder = (Path(path).absolute() for path in arguments)
    pictures = sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg"))
    broken = throughput(programs, model, pictures)
    broken += mixed(programs, model, pictures[:500])
    broken += terminated(programs, model, pictures[:500])
    for promise in broken:
        print(f"BROKEN: {promise}")
    return int(bool(broken))


def captions(programs: Path, model: Path, pictures: list[Path]) -> dict[str, str]:
    """The captions that attend-caption gives, by path."""
    listed = "".join(f"{path}\n" for path in pictures)
    words = [programs / "attend-caption", "--model", model, "--exif-orientation", "-"]
    said = subprocess.run(words, input=listed, capture_output=True, text=True, check=True).stdout
    return dict(line.split("\t") for line in said.splitlines())


LUA = """
local files, at = {{}}, 0
for path in io.lines("{listed}") do
  local file = io.open(path, "rb")
  files[#files + 1] = file:read("*a")
  file:close()
end
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
function request()
  at = at % #files + 1
  return wrk.format(nil, nil, nil, files[at])
end
"""


def throughput(programs: Path, model: Path, pictures: list[Path]) -> list[str]:
    """Pictures per second of both, and the service's latencies."""
    alone, served, latencies = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        listed, script = Path(folder) / "listed", Path(folder) / "post.lua"
        listed.write_text("".join(f"{path}\n" for path in pictures))
        script.write_text(LUA.format(listed=listed))
        service = Service(programs, model, "--cache", "0")
        for _ in range(ROUNDS):
            # The difference of two runs: without the time of its start.
            times = []
            for count in (len(pictures) // 4, len(pictures)):
                started = time.monotonic()
                captions(programs, model, pictures[:count])
                times.append(time.monotonic() - started)
            alone.append((len(pictures) - len(pictures) // 4) / (times[1] - times[0]))
            wrk = ["wrk", "-t1", f"-c{CLIENTS}", f"-d{SECONDS}s", "--timeout", "30s", "--latency"]
            wrk += ["-s", script, f"{service.url}/v1/caption"]
            said = subprocess.run(wrk, capture_output=True, text=True, check=True).stdout
            if "Non-2xx" in said or "Socket errors" in said:
                return [f"good requests failed:\n{said}"]
            found = {words[0]: words[1] for words in map(str.split, said.splitlines()) if len(words) > 1}
            served.append(float(found["Requests/sec:"]))
            latencies.append(f"{found['50%']} / {found['99%']}")
        batches = batch_size(service)
        service.end()
    ratio = statistics.median(s / a for s, a in zip(served, alone))
    print(f"attend-caption      {statistics.median(alone):8.1f} pictures/s")
    print(f"attend-serve        {statistics.median(served):8.1f} pictures/s, {ratio:.2f} of it; {batches:.1f} a batch")
    print(f"latency 50 % / 99 % {'; '.join(latencies)}, {CLIENTS} clients")
    return [] if ratio >= 0.8 else [f"throughput {ratio:.2f} of attend-caption's"]


def batch_size(service: Service) -> float:
    lines = service.get("/metrics")[1].decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return float(values["attend_batch_pictures_sum"]) / float(values["attend_batch_pictures_count"])


def png(width: int, height: int, rows: int) -> bytes:
    """A grey PNG that has only some of the rows that its head promises."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes((width + 1) * rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


HEAD = "POST /v1/caption{query} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"


class Hostile:
    """Requests that nobody should send, by name; each answers its status, or why there is none."""

    def __init__(self, service: Service, picture: bytes) -> None:
        self.service, self.picture = service, picture
        self.bomb, self.large = png(60_000, 60_000, 100), png(9_000, 9_000, 9_000)
        self.kinds = {
            "bomb": (10, lambda: self.post(self.bomb)),
            "81 megapixels": (0.2, lambda: self.post(self.large)),
            "truncated": (10, lambda: self.post(self.picture[: len(self.picture) // 2])),
            "text": (10, lambda: self.post(b"milk, bread, and a newspaper")),
            "wrong type": (10, lambda: self.post(self.picture, kind="text/html")),
            "broken JSON": (5, lambda: self.post(b'{"images": [', kind="application/json")),
            "broken form": (5, lambda: self.post(b"--", kind="multipart/form-data; boundary=x")),
            "greedy option": (10, lambda: self.post(self.picture, query="?beam=1000000")),
            "100 MB": (0.5, lambda: self.post(bytes(100_000_000))),
            "dropped half-way": (20, lambda: self.post(self.picture, cut=len(self.picture) // 2)),
            "no HTTP": (10, lambda: self.send(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")),
            "endless head": (5, lambda: self.send(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n")),
            "slow body": (1, lambda: self.post(self.picture, wait=3)),
        }

    def one(self, chance: random.Random) -> tuple[str, str]:
        names, weights = list(self.kinds), [weight for weight, _ in self.kinds.values()]
        name = chance.choices(names, weights)[0]
        return name, self.kinds[name][1]()

    def post(self, body: bytes, query="", kind="image/png", cut=None, wait=0) -> str:
        head = HEAD.format(query=query, kind=kind, length=len(body)).encode()
        if wait:
            return self.send(head + body[:10], then=body[10:], wait=wait)
        return self.send(head + body[:cut], read=cut is None)

    def send(self, sent: bytes, read: bool = True, then: bytes = b"", wait: float = 0) -> str:
        try:
            with socket.create_connection((self.service.host, self.service.port), 60) as stream:
                stream.sendall(sent)
                if wait:
                    time.sleep(wait)
                    stream.sendall(then)
                if not read:
                    return "left"
                answer = stream.recv(1 << 16)
                return answer.split(b" ")[1].decode() if answer else "closed"
        except OSError as why:
            return type(why).__name__


def mixed(programs: Path, model: Path, pictures: list[Path]) -> list[str]:
    """Good and hostile requests together."""
    expected = captions(programs, model, pictures)
    bodies = [(path.read_bytes(), expected[str(path)]) for path in pictures]
    service = Service(programs, model, "--cache", "1")
    hostile = Hostile(service, bodies[0][0])
    wrong, outcomes, times, memory = [], Counter(), [], []
    numbers = iter(range(REQUESTS))
    lock = threading.Lock()

    def client(seed: int) -> None:
        chance = random.Random(seed)
        connection = http.client.HTTPConnection(service.host, service.port, timeout=60)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            if number % (REQUESTS // 20) == 0:
                memory.append(service.resident())
            if chance.random() < 0.3:
                name, outcome = hostile.one(chance)
                with lock:
                    outcomes[f"{name}: {outcome}"] += 1
                continue
            body, caption = chance.choice(bodies)
            started = time.monotonic()
            try:
                headers = {"Content-Type": "image/png"}
                connection.request("POST", "/v1/caption", body, headers)
                answer = connection.getresponse()
                said = json.loads(answer.read())
                if said.get("caption") != caption:
                    wrong.append(f"{answer.status}: {said} instead of {caption}")
            except (OSError, http.client.HTTPException) as why:
                wrong.append(repr(why))
                connection.close()
            times.append(time.monotonic() - started)

    started = time.monotonic()
    run_all(client)
    seconds = time.monotonic() - started
    alive = service.get("/healthz")[0] == 200
    code = service.end()
    times.sort()
    print(f"mixed               {REQUESTS} requests in {seconds:.0f} s: {len(times)} good, {len(wrong)} of them not answered well")
    print(f"latency 50 % / 99 % {1000 * times[len(times) // 2]:.0f} ms / {1000 * times[len(times) * 99 // 100]:.0f} ms (client in Python)")
    print(f"memory in MiB       {memory}")
    for outcome, count in sorted(outcomes.items()):
        print(f"    {count:5} {outcome}")
    broken = wrong[:3]
    broken += [] if alive and code == 0 else [f"it ended with {code}"]
    # Without the pictures of 81 megapixels that are being decoded at that moment.
    grown = min(memory[-5:]) - min(memory[5:10])
    broken += [] if grown < 64 else [f"memory grew by {grown} MiB"]
    fives = [outcome for outcome in outcomes if ": 5" in outcome]
    return broken + [f"{outcome} of a hostile request" for outcome in fives]


def terminated(programs: Path, model: Path, pictures: list[Path]) -> list[str]:
    """SIGTERM while all clients ask."""
    bodies = [path.read_bytes() for path in pictures]
    service = Service(programs, model, "--cache", "0")
    ended = threading.Event()
    outcomes = Counter()

    def client(seed: int) -> None:
        chance = random.Random(seed)
        while True:
            body = chance.choice(bodies)
            head = HEAD.format(query="", kind="image/png", length=len(body)).encode()
            begun = b""
            try:
                with socket.create_connection((service.host, service.port), 60) as stream:
                    stream.sendall(head + body)
                    begun = stream.recv(1 << 16)
            except ConnectionRefusedError:
                outcomes["refused after the end"] += 1
                return
            except OSError as why:
                outcomes[type(why).__name__] += 1
                return
            outcomes["answered" if begun.startswith(b"HTTP/1.1 200") else f"{begun[:20]}"] += 1

    def end() -> None:
        time.sleep(3)
        service.process.send_signal(signal.SIGTERM)
        ended.set()

    threading.Thread(target=end).start()
    run_all(client)
    code = service.process.wait()
    print(f"SIGTERM under load  exit code {code}; {dict(outcomes)}")
    unanswered = set(outcomes) - {"answered", "refused after the end"}
    broken = [f"{name}: {outcomes[name]} requests under SIGTERM" for name in unanswered]
    return broken + ([] if code == 0 else [f"exit code {code} after SIGTERM"])


def run_all(client) -> None:
    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
