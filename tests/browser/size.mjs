// Weighs the page as a host sends it, with brotli, and fails where it is over the limit. What is fetched only when a
// file is opened is weighed apart.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const folder = process.argv[2];
const isModule = (name) => (file) => file.startsWith(name);
const [worker, formats, evaluate, tokenize, library, example] = ["worker", "formats", "evaluate", "tokenize", "library", "example"].map(isModule);
// Fetched when somebody asks for it; no part of the page.
const apart = (file) => [worker, formats, evaluate, tokenize, library, example].some((has) => has(file));
const parts = [
  { name: "the page", has: (file) => !apart(file), limit: 250_000 },
  { name: "the worker, fetched with the first file", has: worker, limit: 250_000 },
  // Fetched for few files alone; every format that is read adds to it.
  { name: "the worker for rarer formats", has: formats, limit: 260_000 },
  { name: "the worker that measures", has: evaluate, limit: 200_000 },
  { name: "the worker that tokenizes", has: tokenize, limit: 150_000 },
  // Fetched for tokenizers of other kinds alone. Nearly all of it is the library tokenizers, with its tables of Unicode and
  // its regular expressions.
  { name: "the worker for other tokenizers", has: library, limit: 450_000 },
];
const quality = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 };
const files = readdirSync(folder).sort();
const totals = [];
for (const { name, has, limit } of parts) {
  let total = 0;
  for (const file of files.filter(has)) {
    const bytes = brotliCompressSync(readFileSync(join(folder, file)), { params: quality }).length;
    console.log(`${String(bytes).padStart(9)}  ${file}`);
    total += bytes;
  }
  const rest = total > limit ? `${total - limit} over` : `${limit - total} under`;
  console.log(`${String(total).padStart(9)}  bytes with brotli: ${name}, ${rest} the limit of ${limit}`);
  if (total > limit) process.exitCode = 1;
  totals.push(total);
}
for (const file of files.filter(example)) {
  console.log(`${String(statSync(join(folder, file)).size).padStart(9)}  ${file}, fetched on request`);
}
const [, usual, rare] = totals;
if (usual > 0.9 * rare) {
  console.log("the worker weighs nearly as much as that for rarer formats: it was built with their readers");
  process.exitCode = 1;
}
