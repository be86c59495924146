// What devices and people say stands as text on every page, and who may only look is shown nothing more.

import assert from "node:assert/strict";
import { test } from "node:test";
import { join } from "node:path";
import { until } from "../driver.mjs";
import {
  another, api, context, FOLDER, go, HOST, HOSTILE, inspect, options, page, shell, SHOWN, signIn, tab, URL_BASE,
} from "./stage.mjs";
import { line } from "./hosts.mjs";

/** What a viewer may not do, as buttons and links say it. */
const ACTS =
  /^(Open console|Show the device|Run|Run a command|Edit|Revoke|Remove|Redrive|Discard|End|End session|Cancel|Go on|Acknowledge|Silence|Test|New secret|Turn (on|off)|Add (a|an) .*|Make a (token|backup)|Choose all shown|Take inventory|Labels and groups|Verify|Export)( \d+)?$/;

/** Pages that only show what goes beyond a viewer. */
const NOT_FOR_VIEWERS = ["/run", "/enrolment", "/users", "/audit", "/alerts/channels"];

test("what is full of markup stands as text, wherever it comes", options, async () => {
  // Labels of a host, what groups and silences are for, names of rules and channels: each is shown somewhere.
  const { id } = await api("PATCH", `/api/hosts/${HOST}`, { labels: { note: HOSTILE } });
  await api("POST", "/api/groups", { name: "hostile", description: HOSTILE });
  await api("POST", "/api/alert-silences", { reason: HOSTILE, matcher: { host_id: id }, duration_seconds: 3600 });
  const file = await api("POST", "/api/files", { name: HOSTILE, size_bytes: 0, sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" });
  await api("POST", `/api/files/${file.id}/content`, { offset: 0, data: "" });
  const { id: rule } = await api("POST", "/api/alert-rules", { spec: { name: HOSTILE, host_offline: { seconds: 1 } } });
  await go("Overview");
  await page.getByRole("link", { name: SHOWN }).first().waitFor();
  await inspect(page, "text-overview");
  await go("Alerts");
  await page.getByRole("link", { name: SHOWN }).first().click();
  await page.getByRole("heading", { name: SHOWN }).waitFor();
  await inspect(page, "text-alert");
  for (const [where, name] of [["Silences", "alert-silences"], ["Rules", "alert-rules"]]) {
    await go("Alerts");
    await tab(where);
    await page.getByText(SHOWN).first().waitFor();
    await inspect(page, `text-${name}`);
  }
  await go("Groups");
  await page.getByText(SHOWN).waitFor();
  await go("Hosts");
  await page.locator(".chip", { hasText: `note=${SHOWN}` }).first().waitFor();
  await inspect(page, "text-hosts");
  await page.getByRole("link", { name: HOST }).click();
  await page.locator(".chip", { hasText: `note=${SHOWN}` }).first().waitFor();
  await inspect(page, "text-host");
  await go("Run a command");
  await page.getByRole("radio", { name: "A label" }).check();
  await page.getByRole("radio", { name: "File transfer" }).check();
  await page.getByRole("radio", { name: "To host" }).check();
  await page.getByLabel("Label").getByText(`note=${SHOWN}`).waitFor({ state: "attached" });
  await page.locator("select[name=file]").getByText(SHOWN).waitFor({ state: "attached" });
  await go("Audit");
  await page.getByText(SHOWN).first().waitFor();
  await inspect(page, "text-audit");
  await api("DELETE", `/api/alert-rules/${rule}`);
});

/** One of each that somebody would have to see to: what runs, a dead letter, an alert that fires, an open session. */
async function stand() {
  shell(line, join(FOLDER, "agent"));
  const online = () => api("GET", `/api/hosts/${HOST}`);
  const { id: host } = await until("the host is back", online, ({ status }) => status === "online");
  const run = (body) => api("POST", "/api/commands", { targets: { hosts: [HOST] }, ...body });
  const { command_id: running } = await run({ script: { content: "sleep 600" } });
  const { command_id: dead } = await run({ system_operation: { operation: "reboot" } });
  const deliveries = (state) => api("GET", `/api/deliveries?states=${state}&host=${HOST}`);
  for (const state of ["running", "dead"]) await until(`one is ${state}`, () => deliveries(state), ({ deliveries }) => deliveries?.length);
  await api("POST", "/api/alert-rules", { spec: { name: "letters", dead_letters: { count: 1 } } });
  const firing = () => api("GET", "/api/alerts?state=firing");
  const { alerts } = await until("an alert fires", firing, ({ alerts }) => alerts?.some(({ rule }) => rule === "letters"));
  const { session_id: session, console_url: url } = await api("POST", "/api/sessions", { host: HOST });
  const device = await context.newPage();
  await device.goto(url, { waitUntil: "commit" });
  await device.locator("body[data-control=live]").waitFor();
  return { host, running, dead, alert: alerts.find(({ rule }) => rule === "letters").id, session, device };
}

test("who may only look is shown nothing else, and the API refuses it as well", options, async () => {
  const looking = await another();
  await signIn(looking, "vic");
  const { host, running, dead, alert, session, device } = await stand();
  /** Each page, and what is to stand there that another could do something about. */
  const pages = [
    ["/"], ["/hosts", HOST], [`/hosts/${host}`, "running"], ["/commands", "running"], [`/commands/${running}`, "running"],
    [`/commands/${dead}`, "dead"], ["/dead-letters", "not allowed"], ["/sessions", "in use"], [`/sessions/${session}`, "in use"],
    ["/groups"], ["/api-keys"], ["/account"], ["/about"],
    ["/alerts", "firing"], [`/alerts/${alert}`, "firing"], ["/alerts/rules", "letters"], ["/alerts/silences"],
  ];
  // Nor does a page ask for what its reader is refused.
  const refused = [];
  looking.on("response", (answer) => answer.status() === 403 && refused.push(answer.url()));
  for (const [path, text] of pages) {
    await looking.goto(URL_BASE + path);
    await looking.getByRole("heading", { level: 1 }).waitFor();
    await looking.locator(".spinner").first().waitFor({ state: "detached" });
    if (text) await looking.locator("main").getByText(text).first().waitFor();
    assert.equal(await looking.getByText("This could not be loaded").count(), 0, path);
    const shown = await looking.locator("main").locator("button, a").allInnerTexts();
    assert.deepEqual(shown.filter((text) => ACTS.test(text.trim())), [], path);
  }
  assert.deepEqual(refused, []);
  for (const path of NOT_FOR_VIEWERS) {
    await looking.goto(URL_BASE + path);
    await looking.getByText("There is no such page").waitFor();
  }
  const navigation = await looking.getByRole("navigation", { name: "Pages" }).innerText();
  for (const text of ["Run a command", "Enrolment", "Users", "Audit"]) assert.ok(!navigation.includes(text), text);
  await looking.goto(`${URL_BASE}/hosts/${host}`);
  await looking.getByRole("heading", { name: "Console sessions" }).waitFor();
  assert.equal(await looking.getByRole("heading", { name: "Audit" }).count(), 0);

  const tried = [
    ["POST", "/api/sessions", { host: HOST }],
    ["POST", "/api/commands", { targets: { all: true }, inventory: {} }],
    ["DELETE", `/api/sessions/${session}`],
    ["POST", `/api/commands/${running}/cancel`, {}],
    ["POST", `/api/commands/${running}/resume`, {}],
    ["POST", `/api/commands/${running}/abort`, {}],
    ["POST", "/api/deliveries/redrive", { command_id: dead }],
    ["POST", "/api/deliveries/discard", { command_id: dead }],
    ["PATCH", `/api/hosts/${host}`, { name: "other" }],
    ["POST", `/api/hosts/${host}/revoke`, {}],
    ["POST", "/api/enrolment-tokens", {}],
    ["POST", "/api/groups", { name: "mine" }],
    ["GET", "/api/users"],
    ["POST", "/api/users", { name: "mine" }],
    ["GET", "/api/audit"],
    ["GET", "/api/files"],
    ["POST", "/api/backups", {}],
    ["POST", `/api/alerts/${alert}/acknowledge`, {}],
    ["POST", "/api/alert-rules", { spec: { name: "mine", host_offline: { seconds: 1 } } }],
    ["GET", "/api/alert-channels"],
    ["POST", "/api/alert-silences", { reason: "mine", duration_seconds: 60, matcher: { host_id: host } }],
  ];
  const statuses = await looking.evaluate(async (tried) => {
    const { access } = JSON.parse(localStorage.getItem("fleetwire.sign-in"));
    const headers = { authorization: `Bearer ${access}`, "content-type": "application/json" };
    const asked = tried.map(([method, path, body]) => fetch(path, { method, headers, body: body && JSON.stringify(body) }));
    return Promise.all(asked.map(async (answer) => (await answer).status));
  }, tried);
  assert.deepEqual(tried.map(([method, path], at) => `${method} ${path} ${statuses[at]}`), tried.map(([method, path]) => `${method} ${path} 403`));
  // All of it stands as before.
  const stands = await Promise.all([
    api("GET", `/api/sessions/${session}`), api("GET", `/api/commands/${running}`), api("GET", `/api/alerts/${alert}`),
  ]);
  assert.deepEqual([stands[0].entered, stands[1].state, stands[2].alert.acknowledged_by ?? ""], [true, "running", ""]);
  // And only whose session it is is told where its page is.
  const seen = await looking.evaluate(async (path) => {
    const { access } = JSON.parse(localStorage.getItem("fleetwire.sign-in"));
    return (await fetch(path, { headers: { authorization: `Bearer ${access}` } })).json();
  }, `/api/sessions/${session}`);
  assert.deepEqual([seen.entered, Boolean(seen.console_url), Boolean(stands[0].console_url)], [true, false, true]);
  await api("POST", `/api/commands/${running}/cancel`, {});
  await api("DELETE", `/api/sessions/${session}`);
  await device.close();
  await looking.getByRole("button", { name: "Sign out" }).click();
  await looking.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(await looking.evaluate(() => localStorage.getItem("fleetwire.sign-in")), null);
  await looking.context().close();
});
