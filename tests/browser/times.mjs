// A reporter for `node --test`: seconds and name of each test, a line each.
export default async function* times(events) {
  for await (const { type, data } of events) {
    const isTest = (type === "test:pass" || type === "test:fail") && data.details.type !== "suite";
    if (isTest) yield `${(data.details.duration_ms / 1_000).toFixed(3)} browser: ${data.name}\n`;
  }
}
