// How the console is built: one page, chunks a route, hashed names, nothing inline (the policy of
// src/platform/console_page.rs refuses what is). The bindings are those of bindings/typescript.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Finds `fleetwire/api/v1/host` where the schema's generator put it. */
const bindings = {
  name: "bindings",
  enforce: "pre" as const,
  resolveId: (source: string) =>
    /^(fleetwire|google)\//.test(source) ? here(`../bindings/typescript/${source}_pb.js`) : undefined,
};

/** Messages whose comments the forms show. */
const HINTED: readonly (string | RegExp)[] = [
  "PackageOperation",
  "PackageOptions",
  "ServiceOperation",
  "SystemOperation",
  "Script",
  "FileTransfer",
  "Inventory",
  "AgentUpdate",
  "CreateCommandRequest",
  "CommandWaves",
  "CommandSchedule",
  "MaintenanceWindow",
  /^AlertRuleSpec$|Condition$|^AlertChannelSpec$|^(Webhook|Email)Target$|^AlertSilence/,
];

/** The schema's comments, which descriptors do not hold, out of the document that is made of them. */
const hints = {
  name: "hints",
  resolveId: (source: string) => (source === "virtual:hints" ? "\0hints" : undefined),
  load(id: string) {
    if (id !== "\0hints") return undefined;
    const { components } = JSON.parse(readFileSync(here("../docs/schema/openapi.json"), "utf8"));
    const hinted = Object.keys(components.schemas).filter((name) =>
      HINTED.some((one) => (typeof one === "string" ? one === name : one.test(name))),
    );
    const entries = hinted.flatMap((name) =>
      Object.entries<{ description?: string }>(components.schemas[name]?.properties ?? {}).map(
        ([field, { description = "" }]) => [`${name}.${field}`, description.replaceAll("`", "")],
      ),
    );
    return `export default ${JSON.stringify(Object.fromEntries(entries))}`;
  },
};

/** A platform for development: FLEETWIRE_URL=http://127.0.0.1:8080 npm run dev */
const proxy = { "^/api/": { target: process.env.FLEETWIRE_URL ?? "http://127.0.0.1:8080", ws: true } };

export default defineConfig({
  define: {
    __VERSION__: JSON.stringify(/^version = "(.*)"$/m.exec(readFileSync(here("../Cargo.toml"), "utf8"))?.[1]),
  },
  plugins: [bindings, hints, react()],
  resolve: {
    // The bindings have a copy of their own for their tests.
    dedupe: ["@bufbuild/protobuf"],
  },
  build: {
    target: "es2022",
    // `light-dark()` is there from these on.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // finish.mjs empties it: the folder itself is kept in git.
    emptyOutDir: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
  },
  server: { proxy },
  preview: { proxy },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
