// A hub as the real one behaves to a browser: listings and texts from itself (as a whole by `raw`, by a 307 from `resolve`),
// all else by a 302 to another origin, 401 for repositories that it does not show, cross-origin reads allowed. `seen` holds what each of the two was asked.
import { createReadStream, readdirSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { join, relative } from "node:path";

const open = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,ETag,Link,Accept-Ranges,Content-Range",
};
// What lies in the store for large files: weights and archives, not texts.
const isStored = (path) => !/\.(json|md|txt|py)$/.test(path);

const listen = async (server) => {
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return `http://127.0.0.1:${server.address().port}`;
};

// Serves `repositories`, folders by `owner/name`. `latencyMs` is what each answer waits; a page of a listing has `pageFiles`.
export async function serveHub(repositories, latencyMs = 0, pageFiles = 1000) {
  const seen = { hub: [], store: [] };
  const late = (answer) => (request, response) => setTimeout(() => answer(request, response), latencyMs);
  const store = createServer(late((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://x").searchParams.get("file"));
    seen.store.push({ path, ...send(path, request, response) });
  }));
  const storeOrigin = await listen(store);
  const hub = createServer(late((request, response) => {
    const url = new URL(request.url, "http://x");
    const note = (bytes) => seen.hub.push({ path: url.pathname, bytes, headers: request.headers, method: request.method });
    const listing = /^\/api\/models\/([^/]+\/[^/]+)\/tree\/([^/]+)\/?(.*)$/.exec(url.pathname);
    const verb = /^\/[^/]+\/[^/]+\/(resolve|raw)\//.exec(url.pathname)?.[1];
    const file = /^\/([^/]+\/[^/]+)\/(?:resolve|raw)\/([^/]+)\/(.+)$/.exec(url.pathname);
    const kept = /^\/api\/resolve-cache\/(.+)$/.exec(url.pathname);
    if (kept) return note(send(decodeURIComponent(kept[1]), request, response).bytes);
    const [, repository, revision, inside] = (listing ?? file ?? []).map(decodeURIComponent);
    const folder = repositories[repository];
    const refuse = (status) => (note(0), response.writeHead(status, open).end('{"error":"no"}'));
    if (!folder) return refuse(401);
    if (revision !== "main") return refuse(404);
    if (listing) {
      const all = entries(folder, inside);
      if (!all.length) return refuse(404);
      const start = Number(url.searchParams.get("cursor") ?? 0);
      const text = JSON.stringify(all.slice(start, start + pageFiles));
      const headers = { ...open, "content-type": "application/json" };
      if (start + pageFiles < all.length) {
        url.searchParams.set("cursor", start + pageFiles);
        headers.link = `<http://${request.headers.host}${url.pathname}${url.search}>; rel="next"`;
      }
      note(text.length);
      return response.writeHead(200, headers).end(text);
    }
    const path = join(folder, inside);
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return refuse(404);
    // No ranges of it.
    if (verb === "raw") return note(send(path, { ...request, headers: {} }, response).bytes);
    const location = isStored(path) ? `${storeOrigin}/?file=` : "/api/resolve-cache/";
    note(0);
    response.writeHead(isStored(path) ? 302 : 307, { ...open, location: location + encodeURIComponent(path) }).end();
  }));
  const origin = await listen(hub);
  const close = () => (hub.close(), store.close());
  return { origin, storeOrigin, seen, close };
}

// What a listing says of a folder and all below it.
function entries(root, inside) {
  const list = readdirSync(join(root, inside), { withFileTypes: true, recursive: true });
  return list.map((entry) => {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const { size } = statSync(path);
    const named = { oid: "0".repeat(40), path: relative(root, path) };
    if (entry.isDirectory()) return { type: "directory", size: 0, ...named };
    const lfs = isStored(path) ? { lfs: { oid: "ab".repeat(32), size, pointerSize: 134 } } : {};
    return { type: "file", size, ...named, ...lfs };
  });
}

function send(path, request, response) {
  const { size } = statSync(path);
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  const [start, end] = range ? [Number(range[1]), Math.min(Number(range[2]), size - 1)] : [0, size - 1];
  const headers = { ...open, "content-length": end - start + 1 };
  if (range) headers["content-range"] = `bytes ${start}-${end}/${size}`;
  response.writeHead(range ? 206 : 200, headers);
  createReadStream(path, { start, end }).pipe(response);
  return { bytes: end - start + 1, headers: request.headers, method: request.method };
}
