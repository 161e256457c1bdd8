// Another host: it serves files by range requests, each answer 50 ms late, and lacks what its address asks it to lack.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";

const latencyMs = 50;
const exposed = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "Content-Range",
};

// Serves `files`, paths by name, on an origin of its own: `/KIND/NAME` chooses how it behaves. `seen` holds what was asked.
export async function serveAway(files) {
  const seen = [];
  const host = createServer((request, response) => {
    if (request.method === "OPTIONS") seen.push({ method: "OPTIONS", bytes: 0 });
    setTimeout(() => answer(files, seen, request, response), latencyMs);
  });
  await new Promise((listening) => host.listen(0, "127.0.0.1", listening));
  return { origin: `http://127.0.0.1:${host.address().port}`, seen, latencyMs, close: () => host.close() };
}

function answer(files, seen, request, response) {
  const [, kind, name] = new URL(request.url, "http://x").pathname.split("/");
  const path = files[decodeURIComponent(name)];
  if (!path) return response.writeHead(404, exposed).end();
  const { size } = statSync(path);
  const headers = kind === "closed" ? {} : kind === "silent" ? { "access-control-allow-origin": "*" } : { ...exposed };
  const range = kind === "whole" ? null : /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  if (request.method === "HEAD") {
    if (kind === "silent") headers["content-length"] = size;
    return response.writeHead(kind === "mute" ? 405 : 200, headers).end();
  }
  if (kind === "mute") delete headers["access-control-expose-headers"];
  if (!range) {
    seen.push({ method: request.method, bytes: size });
    response.writeHead(200, { ...headers, "content-length": size });
    if (kind === "cut") return createReadStream(path, { end: size >> 1 }).on("end", () => response.destroy()).pipe(response, { end: false });
    return createReadStream(path).pipe(response);
  }
  const [start, end] = [Number(range[1]), Math.min(Number(range[2]), size - 1)];
  seen.push({ method: request.method, bytes: end - start + 1, headers: request.headers });
  // A file that was replaced by a longer one after its beginning was sent.
  const total = kind === "replaced" && start > 0 ? size + 1 : size;
  headers["content-range"] = `bytes ${start}-${end}/${total}`;
  headers["content-length"] = end - start + 1;
  response.writeHead(206, headers);
  createReadStream(path, { start, end }).pipe(response);
}
