// Weighs the page as a host sends it, with brotli, and fails where it is over the limit.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const limit = 250_000;
const folder = process.argv[2];
let total = 0;
for (const name of readdirSync(folder).sort()) {
  const quality = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 };
  const bytes = brotliCompressSync(readFileSync(join(folder, name)), { params: quality }).length;
  console.log(`${String(bytes).padStart(9)}  ${name}`);
  total += bytes;
}
const rest = total > limit ? `${total - limit} over` : `${limit - total} under`;
console.log(`${String(total).padStart(9)}  bytes with brotli, ${rest} the limit of ${limit}`);
process.exitCode = total > limit ? 1 : 0;
