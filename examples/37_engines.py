"""Another encoder, a heat map and a reranker: a server of your own finds the page and says where to look.

The server here speaks vLLM's paths (`/pooling`, `/tokenize`, `/v1/rerank`) with a toy encoder that knows colours, so
that the example needs no GPU. With `vllm serve nvidia/nemotron-colembed-vl-4b-v2` running, only the address changes.
"""

from __future__ import annotations

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

from mainspring.library.embed.engines import open_engine
from mainspring.library.embed.protocol import Picture
from mainspring.library.rerank import open_reranker

MODEL = "nvidia/nemotron-colembed-vl-4b-v2"
COLOURS = {"red": [1, 0, 0], "green": [0, 1, 0], "blue": [0, 0, 1]}
TEXTS = ["a field in spring", "the red wheel of the mill"]


def tokens(content: list[dict[str, Any]]) -> list[tuple[str, list[float]]]:
    """What a real model does in billions of steps: the tokens of a prompt, each with a vector."""
    found = [("<|im_start|>", [0.1, 0.1, 0.1])]
    for part in content:
        if part["type"] == "text":
            found += [(word, [float(x) + 0.01 for x in COLOURS.get(word, [0, 0, 0])]) for word in part["text"].split()]
        else:
            data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
            pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=float) / 255
            rows, columns = pixels.shape[0] // 32, pixels.shape[1] // 32
            mean = pixels.reshape(rows, 32, columns, 32, 3).mean(axis=(1, 3)).reshape(-1, 3)
            found += [("<|image_pad|>", [float(x) for x in vector]) for vector in mean + 0.01]
    return found


class Server(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/rerank":
            asked = set(body["query"].split())
            scores = [len(asked & set(text.split())) / len(asked) for text in body["documents"]]
            self.say({"results": [{"index": n, "relevance_score": score} for n, score in enumerate(scores)]})
            return
        found = tokens(body["messages"][0]["content"])
        if self.path == "/tokenize":
            self.say({"token_strs": [token for token, _ in found]})
        else:
            self.say({"data": [{"index": 0, "data": [vector for _, vector in found]}]})

    def do_GET(self) -> None:
        self.say({"data": [{"id": MODEL, "revision": "toy"}]})

    def say(self, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None: ...


def page(colour: str, box: tuple[int, int, int, int]) -> Picture:
    image = Image.new("RGB", (320, 256), "white")
    image.paste(colour, box)
    packed = io.BytesIO()
    image.save(packed, "PNG")
    return Picture(packed.getvalue())


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"

    embedder = open_engine(f"vllm:{url}#{MODEL}")
    print("space:", embedder.space.id)
    pages = embedder.documents([page("green", (32, 32, 160, 96)), page("red", (192, 96, 256, 160))])
    query = embedder.queries(["where is the red wheel"])[0]

    scores = [float((query.vectors @ one.vectors.T).max(axis=1).sum()) for one in pages]
    best = max(range(len(pages)), key=scores.__getitem__)
    print("best page:", ["green", "red"][best])

    # Which patch answers the word that says most: the first rows of an encoded picture are its patches, row by row.
    rows, columns = pages[best].grid
    word = query.vectors[np.abs(query.vectors - query.vectors.mean(axis=0)).sum(axis=1).argmax()]
    heat = (pages[best].vectors[: rows * columns] @ word).reshape(rows, columns)
    for row in heat:
        print("  " + "".join("#" if value > 0.9 else "." for value in row))

    reranker = open_reranker(f"rerank:{url}#{MODEL}")
    print("reranked:", max(zip(reranker.scores("red wheel", TEXTS), TEXTS, strict=True))[1])
    embedder.close()
    server.shutdown()


if __name__ == "__main__":
    main()
