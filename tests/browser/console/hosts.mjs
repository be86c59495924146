// The way in, and hosts that come by themselves.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../driver.mjs";
import {
  another, api, context, DEVICE, FOLDER, go, HOST, inspect, options, page, PASSWORD, PLATFORM, shell, URL_BASE, watched,
} from "./stage.mjs";

/** The line that the page showed, and the agent that it started. */
export let line;
export let agent;

test("a wrong password is refused in words, and the right one leads in", options, async () => {
  await page.goto(`${URL_BASE}/hosts`);
  await page.getByRole("button", { name: "Sign in with Example ID" }).waitFor();
  await inspect(page, "sign-in");
  await page.fill("input[name=username]", "ada");
  await page.fill("input[name=password]", "not this one");
  await page.click("button[type=submit]");
  await page.getByRole("alert").waitFor();
  await page.fill("input[name=password]", PASSWORD);
  await page.keyboard.press("Enter");
  // Where the address led in the first place.
  await page.getByRole("heading", { name: "Hosts" }).waitFor();
  await page.getByRole("link", { name: "packing-1" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Hosts" }).waitFor();
});

test("over the provider one comes back to where one wanted to go, and a stranger's code leads nowhere", options, async () => {
  const other = await another();
  await other.goto(`${URL_BASE}/signed-in?state=a-strangers&code=a-strangers`);
  await other.getByText("That sign-in was not begun in this tab").waitFor();
  await other.goto(`${URL_BASE}/hosts?status=online`);
  await other.getByRole("button", { name: "Sign in with Example ID" }).click();
  await other.fill("input[name=login]", "grace");
  const password = other.locator("input[name=password]");
  if (await password.count()) await password.fill("any");
  await other.click("button[type=submit]");
  // What it may know of the user is asked next.
  const consent = other.getByRole("button", { name: /continue/i });
  const hosts = other.getByRole("heading", { name: "Hosts" });
  await consent.or(hosts).waitFor();
  if (await consent.count()) await consent.click();
  await hosts.waitFor();
  assert.equal(new URL(other.url()).search, "?status=online");
  await other.getByRole("link", { name: "grace" }).waitFor();
  await other.context().close();
});

test("a host appears by itself when its agent enrols", options, async () => {
  await go("Overview");
  await page.getByText("No commands yet").waitFor();
  await go("Enrolment");
  await page.getByRole("button", { name: "Make a token" }).click();
  await page.fill("dialog input[name=name]", HOST);
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("img", { name: "The token as a QR code" }).waitFor();
  await page.fill("dialog input[name=platform]", PLATFORM);
  await page.fill("dialog input[name=target]", DEVICE);
  await page.fill("dialog input[name=folder]", join(FOLDER, "agent", "state"));
  for (const kind of ["Script", "Inventory"]) await page.getByRole("checkbox", { name: kind }).check();
  await inspect(page, "enrolment-token");
  // The very line that stands on the page.
  line = await page.locator(".secret").last().innerText();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("row", { name: HOST }).getByText("open").waitFor();
  await go("Hosts");
  await mkdir(join(FOLDER, "agent"));
  agent = shell(line, join(FOLDER, "agent"));
  await page.getByRole("link", { name: HOST }).waitFor();
  await page.getByRole("row", { name: HOST }).getByText("online").waitFor();
  await inspect(page, "hosts");
  await go("Overview");
  await page.locator(".tile", { hasText: "Online" }).getByText("3", { exact: true }).waitFor();
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
