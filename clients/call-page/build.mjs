// Builds the call page: one HTML file that contains its script and its style.

import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const src = fileURLToPath(new URL("src/", import.meta.url));
const out = fileURLToPath(new URL("../../build/web/", import.meta.url));

async function bundle(entry, options) {
  const result = await build({
    entryPoints: [src + entry],
    bundle: true,
    minify: true,
    target: "es2022",
    // ASCII reads the same in any encoding that the page is served in.
    charset: "ascii",
    write: false,
    ...options,
  });
  return result.outputFiles[0].text.trim();
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

const script = await bundle("page.ts", { format: "esm", platform: "browser" });
const style = await bundle("page.css");
// The browser runs only the script that was built here, wherever the page is served from.
const policy = [
  "default-src 'none'",
  `script-src ${hash(script)}`,
  `style-src ${hash(style)}`,
  "img-src data:",
  "connect-src 'self'",
  "media-src 'self' blob: mediastream:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");
const parts = { policy, style, script };
const template = await readFile(`${src}index.html`, "utf8");

await mkdir(out, { recursive: true });
await writeFile(`${out}index.html`, template.replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]));
