// An agent breaks: the alert is there by itself, a receiver is told of it, and somebody looks after it. And what is on
// these pages beside: rules, channels, silences.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { until } from "../driver.mjs";
import { api, go, HOST, inspect, kill, options, page, tab } from "./stage.mjs";
import { agent } from "./hosts.mjs";

/** A receiver of webhooks, and what it was sent. */
const requests = [];
const receiver = createServer(async (request, response) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  requests.push({ headers: request.headers, body: Buffer.concat(pieces).toString() });
  response.writeHead(204).end();
});

/** Standard Webhooks: what is signed is the id, the time and the body. */
function checked(secret, { headers, body }) {
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key).update(signed).digest("base64");
  assert.equal(headers["webhook-signature"], `v1,${expected}`);
  return JSON.parse(body);
}

const save = () => page.getByRole("dialog").getByRole("button", { name: "Save" }).click();

test("an agent that breaks is seen, and a receiver is told of it", options, async () => {
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  await go("Alerts");
  await page.getByText("Nothing is wrong").waitFor();
  await tab("Channels");
  await page.getByText("No channels").waitFor();
  await page.getByRole("button", { name: "Add a channel" }).click();
  await page.getByRole("dialog").getByLabel("Target").selectOption("webhook");
  await page.fill("dialog input[name=name]", "on call");
  await page.fill("dialog input[name=url]", `http://127.0.0.1:${receiver.address().port}/hook`);
  await inspect(page, "channel");
  await save();
  const secret = await page.locator(".secret").innerText();
  await page.getByRole("button", { name: "Done" }).click();
  const channel = page.getByRole("row", { name: "on call" });
  await channel.getByRole("button", { name: "Test" }).click();
  await page.getByText("The message was taken").waitFor();
  assert.equal(checked(secret, requests.at(-1)).type, "test");
  await page.getByRole("button", { name: "Close" }).click();
  await inspect(page, "alert-channels");

  await tab("Rules");
  await page.getByRole("button", { name: "Add a rule" }).click();
  await page.getByRole("dialog").getByLabel("Condition").selectOption("host_offline");
  await page.fill("dialog input[name=name]", "gone");
  await page.fill("dialog input[name=seconds]", "soon");
  await page.getByRole("radio", { name: "Critical" }).check();
  await save();
  await page.getByText("A time is written such as").waitFor();
  await inspect(page, "alert-rule");
  await page.fill("dialog input[name=seconds]", "1 s");
  await save();
  await page.getByRole("row", { name: "gone" }).getByText("Host offline, 1 s").waitFor();
  await inspect(page, "alert-rules");

  await go("Overview");
  await page.locator(".tile", { hasText: "Alerts" }).getByText("0", { exact: true }).waitFor();
  const before = requests.length;
  await kill(agent);
  const row = page.getByRole("row", { name: /gone/ });
  await row.getByText("firing").waitFor();
  await row.getByRole("link", { name: HOST }).waitFor();
  await page.locator(".tile", { hasText: "Alerts" }).getByText("1", { exact: true }).waitFor();
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: /Alerts.*1/ }).waitFor();
  await inspect(page, "overview");
  // It stands on the page of its host as well.
  await row.getByRole("link", { name: HOST }).click();
  await page.getByRole("heading", { name: "Alerts that fire" }).waitFor();
  await row.getByRole("link", { name: "gone" }).waitFor();
  await inspect(page, "host-alert");
  await until("the receiver is told", () => requests.length > before);
  const told = checked(secret, requests[before]);
  assert.equal(told.type, "alert.firing");
  await go("Alerts");
  await inspect(page, "alerts");
  await row.getByRole("link", { name: "gone" }).click();
  assert.ok(page.url().endsWith(told.data.alert_id), page.url());
  await page.getByText("on call").waitFor();
  await page.getByRole("row", { name: /taken/ }).waitFor();
  await page.getByRole("button", { name: "Acknowledge" }).click();
  await page.getByText("ada", { exact: true }).nth(1).waitFor();
  await inspect(page, "alert");
});

test("rules, channels and silences are changed, and an alert is kept quiet with one press", options, async () => {
  await page.getByRole("button", { name: "Silence" }).click();
  await inspect(page, "silence");
  await page.getByRole("dialog").getByRole("button", { name: "Silence" }).click();
  await page.getByText(/silenced, ends/).waitFor();
  await go("Alerts");
  await tab("Silences");
  const silence = page.getByRole("row", { name: /Known: gone/ });
  await silence.getByText("quiet").waitFor();
  await silence.getByRole("link", { name: HOST }).waitFor();
  await inspect(page, "alert-silences");
  await silence.getByRole("button", { name: "End" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End" }).click();
  await silence.waitFor({ state: "detached" });
  // A name that was typed and not chosen is no host: the whole fleet is not kept quiet by leaving something out.
  await page.getByRole("button", { name: "Add a silence" }).click();
  await page.fill("dialog input[name=reason]", "too much");
  const search = page.getByRole("dialog").getByLabel("Host");
  await search.fill("nobody-of-this-name");
  await search.press("Enter");
  await page.getByRole("dialog").getByRole("button", { name: "Silence" }).click();
  await page.getByText("or say that all alerts are meant").waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  const silences = (await api("GET", "/api/alert-silences")).silences ?? [];
  assert.ok(!silences.some(({ reason }) => reason === "too much"), "the fleet is silenced");

  await tab("Channels");
  const channel = page.getByRole("row", { name: "on call" });
  await channel.getByRole("button", { name: "New secret" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "New secret" }).click();
  const secret = await page.locator(".secret").innerText();
  await page.getByRole("button", { name: "Done" }).click();
  await channel.getByRole("button", { name: "Test" }).click();
  await page.getByText("The message was taken").waitFor();
  checked(secret, requests.at(-1));
  await page.getByRole("button", { name: "Close" }).click();
  await channel.getByRole("button", { name: "Edit" }).click();
  await page.fill("dialog input[name=url]", "http://127.0.0.1:9/nobody");
  await save();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await channel.getByRole("button", { name: "Test" }).click();
  await page.getByRole("dialog").locator(".note.bad").waitFor();
  await page.getByRole("button", { name: "Close" }).click();

  await tab("Rules");
  const rule = page.getByRole("row", { name: "gone" });
  await rule.getByRole("button", { name: "Edit" }).click();
  assert.equal(await page.locator("dialog input[name=seconds]").inputValue(), "1 s");
  await page.fill("dialog input[name=seconds]", "10 min");
  await save();
  await rule.getByText("Host offline, 10 min").waitFor();
  await rule.getByRole("button", { name: "Turn off" }).click();
  await rule.getByText("off", { exact: true }).waitFor();
  const { rules } = await api("GET", "/api/alert-rules");
  const { spec } = rules.find(({ spec }) => spec.name === "gone");
  assert.deepEqual([spec.host_offline.seconds, spec.severity, spec.disabled], [600, "critical", true]);
  await rule.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await rule.waitFor({ state: "detached" });
  await tab("Channels");
  await channel.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByText("No channels").waitFor();
  receiver.close();
});
