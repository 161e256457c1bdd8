// Token ids in the browser: the worker that tokenizes, driven as the page drives it, against the command's ids
// (tokenizers.rs).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { artifacts, check, open } from "./harness.mjs";

const { documents, sha256, maxTokens, cases } = JSON.parse(readFileSync(join(artifacts, "tokenizers.json")));
const demo = cases[0];

// What the worker answers to these requests, one after the other, or where it can't, that with the library, as the page
// asks it then. A file's content is a text, or bytes.
const tokenize = async (page, requests) => {
  const answers = await ask(page, 3, requests);
  const others = answers.flatMap(({ other }, i) => (other ? [i] : []));
  const more = await ask(page, 4, others.map((i) => requests[i]));
  others.forEach((i, at) => { answers[i] = { ...more[at], byLibrary: true }; });
  return answers;
};

const ask = (page, module, requests) =>
  page.evaluate(async ([module, requests]) => {
    const worker = globalThis.startInspectorWorker(module);
    const heard = () => new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
    await heard();
    const answers = [];
    for (const { tokenizer, asItIs, files, text, maxTokens, maxPositions } of requests) {
      const bytes = tokenizer.map(([, content]) => new TextEncoder().encode(content));
      const names = tokenizer.map(([name]) => name);
      const request = {
        tokenizer: { names, as_it_is: asItIs ?? false, max_positions: maxPositions ?? null },
        names: files.map(([name]) => name),
        text: text ?? null,
        max_tokens: maxTokens,
      };
      const given = files.map(([name, content]) => new File([Array.isArray(content) ? Uint8Array.from(content) : content], name));
      const answered = heard();
      worker.postMessage([JSON.stringify(request), bytes, given]);
      let [event, ids] = await answered;
      while (JSON.parse(event).Progress) [event, ids] = await heard();
      const said = JSON.parse(event);
      answers.push({ ...(said === "OtherKind" ? { other: true } : said), ids: ids.map((each) => Array.from(each)) });
    }
    worker.terminate();
    return answers;
  }, [module, requests]);

const usual = { tokenizer: demo.files, files: [["documents.json", documents]], maxTokens };

test("every tokenizer gives the command's ids, or its refusal", async () => {
  const opened = await open();
  const answers = await tokenize(opened.page, cases.map(({ files }) => ({ ...usual, tokenizer: files })));
  let refused = 0;
  for (const [i, { name, ids, cut, refused: what, found }] of cases.entries()) {
    const { Tokenized: said, Failed: error, ids: given } = answers[i];
    if (what) {
      refused += 1;
      assert.deepEqual([error?.what, error?.found], [what, found], name);
      continue;
    }
    assert.deepEqual(error, undefined, name);
    assert.deepEqual(given, ids, name);
    const tokens = ids.reduce((sum, each) => sum + each.length, 0);
    assert.deepEqual([said.cut_tokens, said.tokens, said.documents_sha256], [cut, tokens, sha256], name);
  }
  assert.ok(cases.length > 20 && refused > 0 && refused < cases.length / 2, `${refused} of ${cases.length} refused`);
  // Most need no library, and nothing is refused without it.
  const taken = answers.filter(({ byLibrary }) => !byLibrary);
  assert.ok(!answers[0].byLibrary && taken.length > (cases.length - refused) / 2, `${taken.length} of ${cases.length}`);
  assert.ok(taken.every(({ Failed: error }) => !error));
  // The comparison sees one id that is another.
  const id = demo.ids[0][1];
  const another = (text) => text.replace(new RegExp(`(:\\s*)${id}\\b`), (_, colon) => `${colon}${id + 1}`);
  const changed = demo.files.map(([name, text]) => [name, name === "tokenizer.json" ? another(text) : text]);
  assert.notDeepEqual(changed, demo.files);
  const [{ ids: others }] = await tokenize(opened.page, [{ ...usual, tokenizer: changed }]);
  assert.notDeepEqual(others, demo.ids);
  await check(opened);
});

test("documents are the same in every form, and what is left out or cut is said", async () => {
  const opened = await open();
  const list = JSON.parse(documents);
  const lines = list.map((text) => `${JSON.stringify({ id: 1, text })}\r\n`).join("\n");
  const forms = [
    { files: [["documents.jsonl", lines]] },
    { files: [["documents.json", `\ufeff${documents}`]] },
    { files: [["documents", `\ufeff${documents}`]] },
    { files: [], text: documents },
    { files: list.map((text, i) => [`${i}.txt`, text]) },
  ];
  const answers = await tokenize(opened.page, forms.map((form) => ({ ...usual, ...form })));
  for (const [i, { Tokenized: said, ids }] of answers.entries()) {
    assert.deepEqual(ids, demo.ids, `form ${i}`);
    assert.equal(said.documents_sha256, sha256, `form ${i}`);
  }
  const [some] = await tokenize(opened.page, [{ ...usual, files: [["a.json", '["one two", " "]']], maxPositions: 1 }]);
  assert.deepEqual(some.Tokenized.left_out, ["left out: 1 text without a character"]);
  assert.match(some.Tokenized.note, /^One text is longer than the 1 tokens/);
  await check(opened);
});

test("what can't be tokenized is named", async () => {
  const opened = await open();
  const file = (name, content) => ({ ...usual, files: [[name, content]] });
  const wrong = [
    [file("a.parquet", "PAR1"), /Parquet file is not read here/, "a.parquet"],
    [file("a.txt", [0x61, 0xff]), /the documents can't be read/, "a.txt"],
    [file("a.json", "[3]"), /not of a known form/, "a.json: [0]"],
    [file("a.jsonl", '"one"\n{"txt": 1}'), /not of a known form/, "a.jsonl: line 2"],
    [file("a.txt", " \n"), /there are no documents/, ""],
    [{ ...usual, files: [], text: "[" }, /not of a known form/, ""],
    [{ ...usual, tokenizer: [] }, /brings no tokenizer/, ""],
    [{ ...usual, tokenizer: [["tokenizer.json", "{"]] }, /tokenizer can't be read/, "tokenizer.json"],
    [{ ...usual, tokenizer: [["tokenizer.json", "{}"]], asItIs: true }, /tokenizer can't be read/, "tokenizer.json"],
  ];
  const answers = await tokenize(opened.page, wrong.map(([request]) => request));
  for (const [i, [, what, place]] of wrong.entries()) {
    const { Failed: error } = answers[i];
    assert.match(error.what, what);
    assert.equal(error.place, place);
  }
  // Options are the command's.
  assert.match(answers[2].Failed.hint, /^with the command: --text-key/);
  await check(opened);
});
