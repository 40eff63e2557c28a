// Builds what runs as it is: the call page, one file with all of it inside,
// and the scripted pair. The library is tsc's.

import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = fileURLToPath(new URL("../../build/web/", import.meta.url));

async function bundle(entry, options) {
  const result = await build({
    entryPoints: [here + entry],
    bundle: true,
    format: "esm",
    target: "es2022",
    // One encoding less to agree on with whoever serves the page.
    charset: "ascii",
    write: false,
    ...options,
  });
  return result.outputFiles[0].text.trim();
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

async function page() {
  const script = await bundle("page/page.ts", { minify: true, platform: "browser" });
  const style = await bundle("page/page.css", { minify: true });
  // The page runs what was built and nothing else, wherever it is served from.
  const policy = [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(style)}`,
    "img-src data:",
    "connect-src *",
    "media-src 'self' blob: mediastream:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const parts = { policy, style, script };
  const template = await readFile(`${here}page/index.html`, "utf8");
  return template.replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);
}

await mkdir(out, { recursive: true });
await writeFile(`${out}index.html`, await page());
await writeFile(`${out}pair.mjs`, await bundle("tools/pair.ts", { platform: "node" }));
await writeFile(`${out}dyad-pair.mjs`, await bundle("tools/dyad_pair.ts", { platform: "node" }));
await writeFile(`${out}answering.mjs`, await bundle("tools/answering.ts", { platform: "node" }));
