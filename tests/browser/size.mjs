// Weighs the page as a host sends it, with brotli. The aim is 250,000 bytes, and the page misses it; the
// ceiling only keeps it from growing unnoticed.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const aim = 250_000;
const ceiling = 263_000;
const folder = process.argv[2];
let total = 0;
for (const name of readdirSync(folder).sort()) {
  const quality = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 };
  const bytes = brotliCompressSync(readFileSync(join(folder, name)), { params: quality }).length;
  console.log(`${String(bytes).padStart(9)}  ${name}`);
  total += bytes;
}
const over = total > aim ? `, ${total - aim} over the aim of ${aim}` : `, within the aim of ${aim}`;
console.log(`${String(total).padStart(9)}  bytes with brotli${over}; the ceiling is ${ceiling}`);
process.exitCode = total > ceiling ? 1 : 0;
