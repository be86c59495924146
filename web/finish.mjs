// What follows a build: the folder has only what was just built, each text beside it compressed, and what a
// first visit loads stays within its budget. Run with --clean before.

import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const DIST = new URL("dist/", import.meta.url).pathname;
/** Bytes of script, compressed, before anything is painted. */
const SCRIPT_BYTES_MAX = 250_000;

if (process.argv.includes("--clean")) {
  for (const name of readdirSync(DIST)) {
    if (name !== ".gitignore") rmSync(join(DIST, name), { recursive: true });
  }
  process.exit(0);
}

const sizes = new Map();
for (const name of readdirSync(DIST, { recursive: true })) {
  if (!/\.(html|js|css|svg)$/.test(name)) continue;
  const bytes = readFileSync(join(DIST, name));
  const compressed = gzipSync(bytes, { level: 9 });
  sizes.set(name, compressed.length);
  if (compressed.length < bytes.length) writeFileSync(join(DIST, `${name}.gz`), compressed);
}

// The page names what it needs at once: its script, and what that imports before it runs.
const page = readFileSync(join(DIST, "index.html"), "utf8");
if (/<script(?![^>]*\ssrc=)|<style|\sstyle=/.test(page)) throw new Error("the page has something inline");
const first = [...page.matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)].map(([, name]) => name);
if (!first.length || !first.every((name) => existsSync(join(DIST, name))))
  throw new Error("the page has no script");
const kilobytes = (names) => names.reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0) / 1000;
const scripts = [...sizes.keys()].filter((name) => name.endsWith(".js"));
console.log(
  `script, compressed: ${kilobytes(first).toFixed(1)} kB at first, ${kilobytes(scripts).toFixed(1)} kB in all`,
);
if (kilobytes(first) * 1000 > SCRIPT_BYTES_MAX) {
  throw new Error(`a first visit loads more than ${SCRIPT_BYTES_MAX / 1000} kB of script`);
}
