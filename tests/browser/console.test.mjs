// The console in Chromium, against a real platform with real agents: one person's walk through its pages, and a second
// person's who may only look. tests/it/web.rs starts the platform, the device and two agents that install packages; the
// agent that is enrolled is the walk's own, by the line that the page shows. The parts run in this order, and stand on
// each other; what they share is console/stage.mjs, which says what the environment has.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { api, close, faults, PASSWORD } from "./console/stage.mjs";

before(async () => {
  for (const [name, role] of [["ada", "admin"], ["vic", "viewer"], ["tess", "operator"]]) {
    await api("POST", "/api/users", { name, role, password: PASSWORD, grants: { all_hosts: true } });
  }
});
after(close);

await import("./console/hosts.mjs");
await import("./console/commands.mjs");
await import("./console/sessions.mjs");
await import("./console/people.mjs");
await import("./console/alerts.mjs");
await import("./console/viewer.mjs");

test("no page failed, and none tried what its policy refuses", () => assert.deepEqual(faults, []));
