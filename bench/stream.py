"""One pass over an artifact by address against `curl | sha256sum`, in turns, and headers behind a delay.

    cargo build --release -p native-eval && cargo build --release -p conformance --bin large
    target/release/large /tmp/model.zip        # 4.4 GB long, a few blocks on the disk
    python3 bench/stream.py pass /tmp/model.zip
    python3 bench/stream.py pass /tmp/model.safetensors   # made of the zip's member, if it is not there
    python3 bench/stream.py headers /tmp/model.zip

A server on loopback gives ranges by sendfile. `pass` prints seconds, CPU seconds, their ratios and peak memory;
`headers` the requests, bytes and seconds of a verdict behind 50 ms for each answer.
"""

import http.server
import os
import pathlib
import socketserver
import statistics
import subprocess
import sys
import threading
import time
import zipfile

BITGAUGE = os.environ.get("BITGAUGE") or pathlib.Path(__file__).parent.parent / "target/release/bitgauge"
ROUNDS = 3
DELAY = 0.05


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128
    delay = 0.0

    def __init__(self, path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.path, self.requests, self.bytes = path, 0, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}/{os.path.basename(self.path)}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Else an answer's last bytes wait until the client acknowledges the first ones, up to 40 ms.
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        time.sleep(self.server.delay)
        size = os.path.getsize(self.server.path)
        first, last = 0, size - 1
        if range_ := self.headers.get("Range"):
            first, _, end = range_.removeprefix("bytes=").partition("-")
            first, last = int(first), min(int(end), last) if end else last
        self.server.requests += 1
        self.server.bytes += last + 1 - first
        self.send_response(206 if range_ else 200)
        if range_:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("ETag", '"the-file"')
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        with open(self.server.path, "rb") as file:
            self.connection.setblocking(True)
            while first <= last:
                first += os.sendfile(self.connection.fileno(), file.fileno(), first, min(1 << 20, last + 1 - first))


def timed(command):
    """Wall seconds, CPU seconds of all its processes, and the peak memory of the largest in MB."""
    start = time.perf_counter()
    child = subprocess.Popen(["bash", "-c", command], stdout=subprocess.DEVNULL)
    _, _, usage = os.wait4(child.pid, 0)
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def unpacked(path):
    """The weights of the zip beside it, holes kept."""
    archive = os.path.splitext(path)[0] + ".zip"
    with zipfile.ZipFile(archive).open("model.safetensors") as member, open(path, "wb") as out:
        while piece := member.read(1 << 20):
            if piece.count(0) == len(piece):
                out.seek(len(piece), 1)
            else:
                out.write(piece)
        out.truncate()


def measure_pass(path):
    if not os.path.exists(path):
        unpacked(path)
    server = Server(path)
    ours = f"exec {BITGAUGE} inspect --format quiet {server.address}"
    theirs = f"curl -s {server.address} | sha256sum"
    ratios = []
    for number in range(ROUNDS):
        # Whoever is first may find the file's pages in memory, or not: take turns.
        order = [ours, theirs] if number % 2 else [theirs, ours]
        took = {command: timed(command) for command in order}
        (wall, cpu, peak), (their_wall, their_cpu, _) = took[ours], took[theirs]
        ratios.append(wall / their_wall)
        print(
            f"bitgauge {wall:.2f} s ({cpu:.2f} s of CPU, {peak:.0f} MB), curl | sha256sum {their_wall:.2f} s "
            f"({their_cpu:.2f} s of CPU), ratio {ratios[-1]:.2f}, of CPU {cpu / their_cpu:.2f}",
            flush=True,
        )
    print(f"median ratio {statistics.median(ratios):.2f}, {os.path.getsize(path)} bytes")


def measure_headers(path):
    server = Server(path)
    server.delay = DELAY
    seconds, *_ = timed(f"exec {BITGAUGE} inspect --headers-only --format quiet {server.address}")
    without, *_ = timed(f"exec {BITGAUGE} inspect --headers-only --format quiet {path}")
    trips = (seconds - without) / DELAY
    print(f"{server.requests} requests, {server.bytes} bytes, {seconds:.3f} s: {trips:.1f} delays of {DELAY * 1e3:.0f} ms more than on disk")


if __name__ == "__main__":
    {"pass": measure_pass, "headers": measure_headers}[sys.argv[1]](sys.argv[2])
