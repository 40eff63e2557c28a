import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

test("an app that imports the whole library grows by less than 20 kB", () => {
  const options = ["--bundle", "--minify", "--format=esm", "--target=es2022"];
  const bundle = execFileSync("esbuild", ["src/index.ts", ...options]);
  const bytes = gzipSync(bundle, { level: 9 }).length;
  assert.ok(bytes < 20_000, `${bytes} bytes`);
});
