// The console in Chromium, against a real platform: one person's walk through its pages, and a second person's who
// may only look. tests/it/web.rs starts the platform, and an agent with a device once this has said the token.
//
// FLEETWIRE_TEST_URL is the platform's own address, FLEETWIRE_TEST_KEY its administrator's API key.
// FLEETWIRE_TEST_PICTURES, when set, is a folder for pictures of each page, at a desk's width and a phone's.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PATIENCE_MS, launch, pixels, until } from "./driver.mjs";

const URL_BASE = process.env.FLEETWIRE_TEST_URL;
const KEY = process.env.FLEETWIRE_TEST_KEY;
const PICTURES = process.env.FLEETWIRE_TEST_PICTURES;
const HOST = "kvm-1";
const PASSWORD = "a long enough password";
/** What no terminal and no page may take for more than text. */
const HOSTILE = "<img src=x onerror=document.title=1> \u202egnp.exe";

const options = { timeout: 4 * PATIENCE_MS };
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** What pages said that no page may: errors, and refusals by the content policy. */
const faults = [];
let browser;
let context;
let page;

function watched(page) {
  page.on("console", (message) => {
    // That an answer was a refusal is said of each, also of those that a test asks for.
    if (message.type() === "error" && !/^Failed to load resource/.test(message.text())) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(error.message));
  return page;
}

async function api(method, path, body) {
  const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json" };
  const answer = await fetch(URL_BASE + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

/** Looks at the page as it stands: no serious fault for those who cannot see or point, nothing wider than it. */
async function inspect(page, name) {
  await page.locator(".spinner").first().waitFor({ state: "detached" });
  assert.equal(await page.getByText("This could not be loaded").count(), 0, `${name}: something is missing`);
  // Not as a script of the page, which its policy would refuse.
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const serious = found.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const said = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`);
  assert.deepEqual(said, [], `${name}: axe`);
  if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
  await page.setViewportSize({ width: 390, height: 844 });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}-phone.png`), fullPage: true });
  await page.setViewportSize({ width: 1280, height: 800 });
  assert.ok(width <= 390, `${name}: ${width} px wide on a phone`);
}

async function signIn(page, name) {
  await page.goto(URL_BASE);
  await page.fill("input[name=username]", name);
  await page.fill("input[name=password]", PASSWORD);
  await page.click("button[type=submit]");
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

const go = (name) => page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true }).click();

before(async () => {
  for (const [name, role] of [["ada", "admin"], ["vic", "viewer"]]) {
    await api("POST", "/api/users", { name, role, password: PASSWORD, grants: { all_hosts: true } });
  }
  ({ browser, context, page } = await launch());
  watched(page);
});
after(() => browser?.close());

test("a wrong password is refused in words, and the right one leads in", options, async () => {
  await page.goto(`${URL_BASE}/hosts`);
  await inspect(page, "sign-in");
  await page.fill("input[name=username]", "ada");
  await page.fill("input[name=password]", "not this one");
  await page.click("button[type=submit]");
  await page.getByRole("alert").waitFor();
  await page.fill("input[name=password]", PASSWORD);
  await page.keyboard.press("Enter");
  // Where the address led in the first place.
  await page.getByRole("heading", { name: "Hosts" }).waitFor();
  await page.getByText("No hosts yet").waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Hosts" }).waitFor();
});

test("a host appears by itself when its agent enrols", options, async () => {
  await go("Overview");
  await page.getByText("No commands yet").waitFor();
  await go("Enrolment");
  await page.getByRole("button", { name: "Make a token" }).click();
  await page.fill("dialog input[name=name]", HOST);
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("img", { name: "The token as a QR code" }).waitFor();
  await inspect(page, "enrolment-token");
  // The line as it stands on the page: tests/it/web.rs runs the agent with its token.
  const line = await page.locator(".secret").last().innerText();
  const [, token] = /^printf %s '(\S+)' > token && fleetwire-agent --platform /.exec(line);
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("row", { name: HOST }).getByText("open").waitFor();
  await go("Hosts");
  console.log(`enrol-with ${token}`);
  await page.getByRole("link", { name: HOST }).waitFor();
  await page.getByRole("row", { name: HOST }).getByText("online").waitFor();
  await inspect(page, "hosts");
  await go("Overview");
  await page.locator(".tile", { hasText: "Online" }).getByText("1", { exact: true }).waitFor();
  await inspect(page, "overview");
  await go("Enrolment");
  await page.getByRole("row", { name: HOST }).getByText("used").waitFor();
  await inspect(page, "enrolment");
});

test("a lost connection is said, and what was missed is there without a reload", options, async () => {
  const tab = watched(await context.newPage());
  let cut = false;
  const sockets = [];
  await tab.routeWebSocket(/\/api\/events$/, (socket) => {
    if (cut) return void socket.close({ code: 1001 });
    socket.connectToServer();
    sockets.push(socket);
  });
  await tab.goto(`${URL_BASE}/hosts`);
  await tab.getByRole("link", { name: HOST }).waitFor();
  await until("its connection", () => sockets.length);
  // It is told something first, so that it has a position to come back with.
  await api("POST", "/api/hosts", { name: "made-before" });
  await tab.getByRole("link", { name: "made-before" }).waitFor();
  cut = true;
  for (const socket of sockets) await socket.close({ code: 1001 });
  await tab.getByText("Connection lost").waitFor();
  await api("POST", "/api/hosts", { name: "made-meanwhile" });
  cut = false;
  await tab.getByRole("link", { name: "made-meanwhile" }).waitFor();
  await tab.getByText("Connection lost").waitFor({ state: "detached" });
  for (const name of ["made-before", "made-meanwhile"]) {
    await api("POST", `/api/hosts/${name}/revoke`, {});
    await tab.getByRole("row", { name }).getByText("revoked").waitFor();
  }
  await tab.close();
});

test("a script runs on it, and what it prints is text", options, async () => {
  await go("Hosts");
  await page.getByRole("checkbox", { name: `Select ${HOST}` }).check();
  await page.getByRole("button", { name: "Run a command" }).click();
  await page.fill("textarea[name=content]", `printf '%s\\n' 'first line' '${HOSTILE}'; read -r line < "$1"; echo "$line"`);
  await page.fill("textarea[name=arguments]", "/proc/sys/kernel/ostype");
  const send = page.getByRole("button", { name: "Run on 1 host" });
  await send.waitFor();
  await inspect(page, "run");
  await send.click();
  await page.waitForURL(/\/commands\/[0-9a-f-]{36}$/);
  const output = page.getByLabel("Output");
  await output.waitFor();
  await page.locator("header", { hasText: HOST }).getByText("succeeded").waitFor();
  const printed = await until("what it printed", () => output.innerText(), (text) => text.includes("Linux"));
  assert.equal(printed.trim(), "first line\n<img src=x onerror=document.title=1> \u27e8202E\u27e9gnp.exe\nLinux");
  await inspect(page, "command");
  await go("Commands");
  await page.getByRole("row", { name: /Script/ }).getByText("1 / 1").waitFor();
  await inspect(page, "commands");
});

test("a command that the agent's owner does not allow is a dead letter, and is seen to", options, async () => {
  await go("Run a command");
  await page.getByRole("radio", { name: "System" }).check();
  await page.getByRole("radio", { name: "Reboot" }).check();
  await page.getByRole("button", { name: `+ ${HOST}` }).click();
  await page.getByRole("button", { name: "Run on 1 host" }).click();
  await page.waitForURL(/\/commands\/[0-9a-f-]{36}$/);
  await page.locator("header", { hasText: HOST }).getByText("dead").waitFor();
  await go("Dead letters");
  await page.getByRole("row", { name: HOST }).getByText("not allowed").waitFor();
  await page.getByRole("button", { name: "Details" }).click();
  await page.getByRole("dialog").getByText("How it got there").waitFor();
  await inspect(page, "delivery");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Choose all shown" }).click();
  await inspect(page, "dead-letters");
  await page.getByRole("button", { name: "Discard 1" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Discard 1" }).click();
  await page.getByText("No dead letters").waitFor();
});

test("the device's console opens in a tab, and its page reaches nothing of ours", options, async () => {
  await go("Hosts");
  await page.getByRole("link", { name: HOST }).click();
  await page.getByRole("heading", { name: HOST }).waitFor();
  const opened = context.waitForEvent("page");
  await page.getByRole("button", { name: "Open console" }).click();
  const tab = await opened;
  await tab.locator("body[data-control=live][data-video=live]").waitFor();
  const hash = async () => createHash("sha256").update((await pixels(tab, "#video")).data).digest("hex");
  const first = await hash();
  await until("another picture", hash, (other) => other !== first);
  const reached = await tab.evaluate(() => ({
    opener: window.opener === null,
    storage: Object.keys({ ...localStorage, ...sessionStorage }),
    cookies: document.cookie,
  }));
  assert.deepEqual(reached, { opener: true, storage: [], cookies: "" });
  // From the device's page nothing of the platform's can be read, whatever it tries.
  const read = await tab.evaluate(
    (url) => fetch(`${url}/api/hosts`, { credentials: "include" }).then(() => "read", () => "refused"),
    URL_BASE,
  );
  assert.equal(read, "refused");

  await page.getByRole("heading", { name: "History" }).waitFor();
  const row = page.getByRole("row", { name: /in use/ });
  await row.getByText("ada").waitFor();
  await inspect(page, "host");
  await go("Console sessions");
  await row.waitFor();
  await inspect(page, "sessions");
  await row.getByRole("button", { name: "End" }).click();
  await page.getByRole("button", { name: "End session" }).click();
  await page.getByText("No console session is open").waitFor();
  await tab.close();
});

test("all of it stands in the audit of the host", options, async () => {
  await go("Hosts");
  await page.getByRole("link", { name: HOST }).click();
  const audit = page.locator("section", { has: page.getByRole("heading", { name: "Audit" }) });
  for (const action of ["host.enrol", "session.open", "session.enter", "session.close"]) {
    await audit.getByText(action).first().waitFor();
  }
  await go("Audit");
  await page.getByText("session.close").waitFor();
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText(/^All \d+ entries follow from one another/).waitFor();
  await inspect(page, "audit");
});

test("users, groups and keys are made, and a key is shown once", options, async () => {
  await go("Groups");
  await page.getByRole("button", { name: "Add a group" }).click();
  await page.fill("dialog input[name=name]", "lab");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("link", { name: "lab" }).waitFor();
  await inspect(page, "groups");
  await go("Users");
  await page.getByRole("button", { name: "Add a user" }).click();
  await page.fill("dialog input[name=name]", "otto");
  await page.fill("dialog input[name=password]", "short");
  await page.getByRole("radio", { name: "operator" }).check();
  await page.getByRole("checkbox", { name: "lab" }).check();
  await inspect(page, "user");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("alert").waitFor();
  await page.fill("dialog input[name=password]", PASSWORD);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("row", { name: /otto/ }).getByText("lab").waitFor();
  await inspect(page, "users");
  await go("API keys");
  await page.getByRole("button", { name: "Make a key" }).click();
  await page.fill("dialog input[name=name]", "for a program");
  await page.getByRole("button", { name: "Make it" }).click();
  const secret = await page.locator(".secret").innerText();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("row", { name: "for a program" }).waitFor();
  await inspect(page, "api-keys");
  const me = await fetch(`${URL_BASE}/api/auth/me`, { headers: { authorization: `Bearer ${secret}` } });
  assert.equal((await me.json()).name, "ada");
  await page.getByRole("row", { name: "for a program" }).getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("row", { name: "for a program" }).waitFor({ state: "detached" });
});

test("one's own account, and what the platform says of itself", options, async () => {
  await page.getByRole("link", { name: "ada" }).click();
  await page.getByRole("heading", { name: "Second factor" }).waitFor();
  await inspect(page, "account");
  await go("About");
  await page.getByRole("heading", { name: "Backups" }).waitFor();
  await inspect(page, "about");
});

test("who may only look is shown nothing else, and the API refuses it as well", options, async () => {
  const other = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 } });
  other.setDefaultTimeout(PATIENCE_MS);
  const looking = watched(await other.newPage());
  await signIn(looking, "vic");
  const pages = looking.getByRole("navigation", { name: "Pages" });
  const shown = await pages.innerText();
  for (const text of ["Run a command", "Enrolment", "Users", "Audit"]) assert.ok(!shown.includes(text), text);
  await looking.goto(`${URL_BASE}/run`);
  await looking.getByText("There is no such page").waitFor();
  await looking.goto(`${URL_BASE}/hosts`);
  await looking.getByRole("link", { name: HOST }).click();
  await looking.getByRole("heading", { name: HOST }).waitFor();
  assert.deepEqual(await looking.getByRole("button").allInnerTexts().then((texts) => texts.filter((text) => /console|run|edit|revoke/i.test(text))), []);
  assert.equal(await looking.getByRole("heading", { name: "Audit" }).count(), 0);
  const refused = await looking.evaluate(async () => {
    const { access } = JSON.parse(localStorage.getItem("fleetwire.sign-in"));
    const headers = { authorization: `Bearer ${access}`, "content-type": "application/json" };
    return (await fetch("/api/sessions", { method: "POST", headers, body: '{"host":"kvm-1"}' })).status;
  });
  assert.equal(refused, 403);
  await looking.getByRole("button", { name: "Sign out" }).click();
  await looking.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(await looking.evaluate(() => localStorage.getItem("fleetwire.sign-in")), null);
  await other.close();
});

test("no page failed, and none tried what its policy refuses", () => assert.deepEqual(faults, []));
