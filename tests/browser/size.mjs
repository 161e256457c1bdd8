// Weighs the page as a host sends it, with brotli, and fails where it is over the limit. What is fetched only when a
// file is opened is weighed apart.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const folder = process.argv[2];
const isModule = (name) => (file) => file.startsWith(name);
// Fetched when somebody asks for it; no part of the page.
const modules = [
  { name: "the worker, fetched with the first file", has: isModule("worker"), limit: 250_000 },
  { name: "the worker for rarer formats", has: isModule("formats"), limit: 250_000 },
  // Two thirds of it are the library tokenizers.
  { name: "the worker that tokenizes, fetched when a perplexity is measured", has: isModule("tokenize"), limit: 390_000 },
];
const isExample = isModule("example");
const isOfPage = (file) => !isExample(file) && !modules.some(({ has }) => has(file));
const parts = [{ name: "the page", has: isOfPage, limit: 250_000 }, ...modules];
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
for (const example of files.filter(isExample)) {
  console.log(`${String(statSync(join(folder, example)).size).padStart(9)}  ${example}, fetched on request`);
}
const [, usual, rare] = totals;
if (usual > 0.9 * rare) {
  console.log("the worker weighs nearly as much as that for rarer formats: it was built with their readers");
  process.exitCode = 1;
}
