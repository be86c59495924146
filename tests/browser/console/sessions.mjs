// The device's console in a tab, its end, and all of it in the audit.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { pixels, until } from "../driver.mjs";
import { context, go, HOST, inspect, options, page, URL_BASE } from "./stage.mjs";

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
  // Who looked at the device is cut off, and nothing is served there any more.
  await tab.locator("body[data-control=lost]").waitFor();
  assert.equal(await tab.evaluate(() => fetch("/").then(({ ok }) => (ok ? "served" : "refused"), () => "refused")), "refused");
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
  for (const action of ["command.create", "token.create", "user.sign_in"]) {
    await page.getByText(action).first().waitFor();
  }
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText(/^All \d+ entries follow from one another/).waitFor();
  await inspect(page, "audit");
});
