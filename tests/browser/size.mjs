// Weighs the page as a host sends it, with brotli, and fails where it is over the limit. What is fetched only when a
// file is opened is weighed apart.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const folder = process.argv[2];
const isModule = (name) => (file) => file.startsWith(name);
const [worker, formats] = ["worker", "formats"].map(isModule);
const limit = 250_000;
const parts = [
  { name: "the page", has: (file) => !worker(file) && !formats(file) },
  { name: "the worker, fetched with the first file", has: worker },
  { name: "the worker for rarer formats", has: formats },
];
const quality = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 };
const files = readdirSync(folder).sort();
for (const { name, has } of parts) {
  let total = 0;
  for (const file of files.filter(has)) {
    const bytes = brotliCompressSync(readFileSync(join(folder, file)), { params: quality }).length;
    console.log(`${String(bytes).padStart(9)}  ${file}`);
    total += bytes;
  }
  const rest = total > limit ? `${total - limit} over` : `${limit - total} under`;
  console.log(`${String(total).padStart(9)}  bytes with brotli: ${name}, ${rest} the limit of ${limit}`);
  if (total > limit) process.exitCode = 1;
}
