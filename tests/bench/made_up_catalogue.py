"""A made-up project with one data set of each way of coming, and a loopback server that stands for the network."""

import gzip
import hashlib
import http.server
import json
import threading
from pathlib import Path

import pandas as pd

from credence.bench import catalogue_builds
from credence.bench.catalogue_content import content_hash

TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n" + "".join(
    f"2026-01-01 00:00:0{second}.{ticks:07d},{100 + second},{7 * second + 1}\r\n"
    for second, ticks in ((0, 0), (3, 1), (9, 9_999_999))
)
SIMULATED = pd.DataFrame({"arrival_s": [0.0, 0.1], "output_tokens": [3, 4]})


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def entry_fields(name="made-up", url="", **changes) -> dict:
    """Fields of a third-party set whose mirror file is the gzip of its origin file."""
    packed = gzip.compress(TRACE.encode(), mtime=0)
    fields = {
        "name": name,
        "title": "Three made-up requests",
        "paper": "ssjf",
        "kind": "third-party",
        "licence": "none: made up",
        "citation": "nobody",
        "file": f"sets/{name}.csv.gz",
        "reader": "azure",
        "bytes": len(packed),
        "rows": 3,
        "sha256_mirror": sha(packed),
        "sha256_origin": sha(TRACE.encode()) if url else "",
        "sha256_content": trace_content(),
        "build": "azure" if url else "",
        "note": "",
        "origin": {"repository": "somebody/traces", "commit": "c0ffee", "path": "raw/trace.csv", "url": url},
        "columns": {
            "arrival_s": "arrival [s]",
            "prompt_tokens": "prompt [tokens]",
            "output_tokens": "answer [tokens]",
        },
    }
    return fields | changes


LINES = {"a.json": "[\n1]", "b.json": "{}"}


def two_files_fields(**changes) -> dict:
    """Fields of a third-party set of two text files of one folder."""
    fields = entry_fields("made-up-lines", file=[f"sets/{name}" for name in LINES], reader="text", build="")
    frame = pd.DataFrame({"file": [0, 0, 1], "line": ["[", "1]", "{}"]})
    fields |= {
        "bytes": sum(len(text) for text in LINES.values()),
        "sha256_mirror": [sha(text.encode()) for text in LINES.values()],
        "sha256_content": content_hash(frame),
        "columns": {"file": "number of the file [index]", "line": "a line [text]"},
    }
    return fields | changes


def trace_content() -> str:
    frame = pd.DataFrame(
        {"arrival_s": [0.0, 3.0000001, 9.9999999], "prompt_tokens": [100, 103, 109], "output_tokens": [1, 22, 64]}
    )
    return content_hash(frame)


def simulated_fields(project: Path, **changes) -> dict:
    """Fields of a set in git, whose file is written below the project's data folder."""
    path = project / "data" / "ssjf" / "simulated.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    SIMULATED.to_parquet(path, index=False)
    fields = entry_fields("simulated-two")
    for name in ("origin", "build", "sha256_origin"):
        del fields[name]
    fields |= {
        "kind": "simulated",
        "file": "ssjf/simulated.parquet",
        "reader": "parquet",
        "bytes": path.stat().st_size,
        "rows": 2,
        "sha256_mirror": sha(path.read_bytes()),
        "sha256_content": content_hash(SIMULATED),
        "generator": "credence.nowhere:function",
        "seed": 0,
        "columns": {"arrival_s": "arrival [s]", "output_tokens": "answer [tokens]"},
    }
    return fields | changes


def write_catalogue(project: Path, *entries: dict) -> None:
    """Write a checkout with this catalogue, as far as ``bench.paths`` looks."""
    for marker in ("pyproject.toml", "lib/credence/__init__.py"):
        (project / marker).parent.mkdir(parents=True, exist_ok=True)
        (project / marker).touch()
    lines = []
    for fields in entries:
        tables = {name: value for name, value in fields.items() if isinstance(value, dict)}
        lines += ["[[dataset]]", *(f"{k} = {json.dumps(v)}" for k, v in fields.items() if k not in tables)]
        for table, content in tables.items():
            lines += [f"[dataset.{table}]", *(f"{k} = {json.dumps(v)}" for k, v in content.items())]
    (project / "data").mkdir(exist_ok=True)
    (project / "data" / "catalogue.toml").write_text("\n".join(lines), encoding="utf-8")


def mirror_file(folder: Path, name="made-up") -> Path:
    """Write the mirror's file of a set below a mirror folder."""
    path = folder / "sets" / f"{name}.csv.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(TRACE.encode(), mtime=0))
    return path


class Server:
    """Serve byte strings by path on 127.0.0.1; ``requests`` lists what was asked for."""

    def __init__(self):
        self.pages: dict[str, bytes] = {}
        self.cut_short: set[str] = set()
        self.requests: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.path)
                body = outer.pages.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:-5] if self.path in outer.cut_short else body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def azure_frame(path: Path) -> pd.DataFrame:
    """Read a file as the made-up set's builder does."""
    return catalogue_builds.build_azure([path])
