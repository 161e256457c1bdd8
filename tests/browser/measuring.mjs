// The worker that measures, driven as the page drives it.
import { readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";

// A script for a page: runs `code` in every worker before its module.
export function before(code) {
  return `{
    const Plain = Blob;
    globalThis.Blob = function (parts, options) {
      const first = options?.type === "text/javascript" ? [${JSON.stringify(code)}] : [];
      return new Plain([...first, ...parts], options);
    };
  }`;
}

// Opens a model, asks for its plan, and measures its documents; gives the events of the worker that measures, up to the first
// of the kind `until` where the rest is not wanted.
export async function measure(page, path, documents, { finished = [], until = null } = {}) {
  const [name, folder] = [basename(path), statSync(path).isDirectory()];
  await page.evaluate(() => {
    const input = Object.assign(document.createElement("input"), { type: "file", id: "given", multiple: true });
    input.hidden = true;
    document.body.append(input);
  });
  await page.locator("#given").setInputFiles(folder ? readdirSync(path).sort().map((file) => join(path, file)) : path);
  return page.evaluate(
    async ({ name, folder, documents, finished, until, maxTokens }) => {
      const files = Array.from(document.getElementById("given").files);
      const paths = files.map((file) => file.name);
      // Posts to a worker of this module, and hands its events to `take` until that gives something.
      const ask = (module, messages, take) => new Promise((resolve, reject) => {
        const worker = globalThis.startInspectorWorker(module);
        worker.onerror = (event) => reject(new Error(event.message));
        worker.onmessage = ({ data }) => {
          if (data === "ready") return worker.postMessage(messages.shift());
          const result = take(JSON.parse(data), () => worker.postMessage(messages.shift()));
          if (result !== undefined) {
            worker.terminate();
            resolve(result);
          }
        };
      });
      const request = { Open: { name, folder, paths, layout: null, rules: "binary" } };
      const plan = await ask(0, [[JSON.stringify(request), files], [JSON.stringify("Plan"), []]], (event, next) => {
        if (event.Report && !event.Report.complete) next();
        if (event.Plan) return event.Plan.plan;
        if (event.Failed) return event;
      });
      if (typeof plan !== "string") return [plan];
      const measure = { plan, max_tokens: maxTokens, cut_tokens: 3, documents_sha256: "ab", finished, away: [] };
      const ids = documents.map((ids) => Uint32Array.from(ids));
      const events = [];
      return ask(2, [[JSON.stringify(measure), files, ids]], (event) => {
        events.push(event);
        if (event.Measured || event.Failed || event[until]) return events;
      });
    },
    { name, folder, documents, finished, until, maxTokens: 512 },
  );
}

// The events of a kind.
export const of = (events, name) => events.filter((event) => event[name]).map((event) => event[name]);
