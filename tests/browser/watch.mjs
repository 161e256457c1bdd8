// Scripts that count what a page and its workers do, so that tests can hold them to bytes, passes and pieces of work
// instead of to a clock.
import assert from "node:assert/strict";

// A script for a page: has its workers begin with `prelude`. What those tell is in `window.told`.
export const inWorkers = (prelude) => `
  const Original = Blob;
  window.Blob = class extends Original {
    constructor(parts, options) {
      super(options?.type === "text/javascript" ? [${JSON.stringify(prelude)}, ...parts] : parts, options);
    }
  };
  window.told = [];
  new BroadcastChannel("told").onmessage = ({ data }) => window.told.push(data);`;

// Runs in each worker: counts what it reads and passes on, and tells so with every report that it sends to the page, and
// with every list that it sends to the next worker.
function count(isHeld) {
  const read = { ranges: [], streams: 0, streamed: 0, passed: 0, largest: 0 };
  const tell = (what) => new BroadcastChannel("told").postMessage({ what, ...read, ranges: [...read.ranges] });
  const held = isHeld && new Promise((goOn) => (new BroadcastChannel("go on").onmessage = goOn));
  const { stream } = Blob.prototype;
  for (const way of ["arrayBuffer", "text", "bytes"]) {
    const original = Blob.prototype[way];
    if (!original) continue;
    Blob.prototype[way] = function () {
      read.ranges.push(this.size);
      return original.call(this);
    };
  }
  Blob.prototype.stream = function () {
    read.streams += 1;
    return stream.call(this);
  };
  for (const { prototype } of [ReadableStreamBYOBReader, ReadableStreamDefaultReader]) {
    const original = prototype.read;
    prototype.read = async function (...given) {
      await held;
      const result = await original.apply(this, given);
      const bytes = result.value?.byteLength ?? 0;
      read.streamed += bytes;
      read.largest = Math.max(read.largest, bytes);
      return result;
    };
  }
  const pass = MessagePort.prototype.postMessage;
  MessagePort.prototype.postMessage = function (message, ...rest) {
    if (message instanceof Uint8Array) read.passed += message.byteLength;
    else tell("a list");
    return pass.call(this, message, ...rest);
  };
  const post = self.postMessage;
  self.postMessage = (message, ...rest) => {
    if (/^{"Report"/.test(message)) tell(JSON.parse(message).Report.complete ? "the report" : "the headers' report");
    post.call(self, message, ...rest);
  };
}

// A script for a page: its workers tell what they read. `hold` stops every pass over a file before its first byte, until
// `goOn`.
export const reading = ({ hold = false } = {}) => inWorkers(`(${count})(${hold});`);

export const goOn = (page) => page.evaluate(() => new BroadcastChannel("go on").postMessage(null));

// What workers told with `what`, once so many of them did.
export async function told(page, what, number = 1) {
  const enough = ([what, number]) => window.told.filter((each) => each.what === what).length >= number;
  await page.waitForFunction(enough, [what, number]);
  const all = await page.evaluate((what) => window.told.filter((each) => each.what === what), what);
  assert.equal(all.length, number, `workers told of ${what}`);
  return all;
}

// A script for a page: counts its workers that were started and that were ended.
export const workersCounted = `
  const Counted = Worker;
  window.workers = { started: 0, ended: 0 };
  window.Worker = class extends Counted {
    constructor(...given) {
      super(...given);
      window.workers.started += 1;
    }
    terminate() {
      window.workers.ended += 1;
      super.terminate();
    }
  };`;

// Waits until so many workers have been started.
export const started = (page, number) => page.waitForFunction((number) => window.workers.started >= number, number);

// Runs in a page: counts the elements that each of its tasks makes, which is what it does between two returns to the
// browser.
function countTasks() {
  window.tasks = [];
  let task, isRunning = false;
  const begin = () => window.tasks.push((task = { elements: 0 }));
  begin();
  // All that the page does begins with a timer or an event; promises go on in the task that settled them.
  const inTask = (run) => function (...given) {
    if (isRunning) return run.apply(this, given);
    begin();
    isRunning = true;
    try {
      return run.apply(this, given);
    } finally {
      isRunning = false;
    }
  };
  for (const timer of ["setTimeout", "requestAnimationFrame", "requestIdleCallback"]) {
    const original = window[timer];
    window[timer] = (run, ...rest) => original.call(window, inTask(run), ...rest);
  }
  const { addEventListener } = EventTarget.prototype;
  EventTarget.prototype.addEventListener = function (type, listener, ...rest) {
    const counted = typeof listener === "function" ? inTask(listener) : listener;
    return addEventListener.call(this, type, counted, ...rest);
  };
  const { get, set } = Object.getOwnPropertyDescriptor(Worker.prototype, "onmessage");
  Object.defineProperty(Worker.prototype, "onmessage", {
    get,
    set(listener) {
      set.call(this, inTask(listener));
    },
  });
  const makers = { createElement: Document, createElementNS: Document, importNode: Document, cloneNode: Node };
  for (const [way, { prototype }] of Object.entries(makers)) {
    const original = prototype[way];
    prototype[way] = function (...given) {
      const node = original.apply(this, given);
      task.elements += 1 + (node.querySelectorAll?.("*").length ?? 0);
      return node;
    };
  }
}

export const tasksCounted = `(${countTasks})();`;

// A page that does at once what it should put off, to show that the counts tell. It goes after `tasksCounted`.
export const neverYields = `
  const later = window.setTimeout;
  window.setTimeout = (run, milliseconds, ...rest) => (milliseconds ? later(run, milliseconds, ...rest) : (run(), 0));`;

// The tasks of a page so far: their number, the elements of all, and the most of one.
export async function work(page) {
  const tasks = (await page.evaluate(() => window.tasks)).map((task) => task.elements);
  return { tasks: tasks.length, elements: tasks.reduce((sum, task) => sum + task, 0), mostElements: Math.max(...tasks) };
}
