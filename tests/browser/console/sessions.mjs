// The device's console in a tab, its end, and all of it in the audit.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { pixels, until } from "../driver.mjs";
import { another, context, go, HOST, inspect, options, page, signIn, URL_BASE } from "./stage.mjs";

/** Opens a host's console from its page: the tab with the device, once that is there. */
async function opens(page) {
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Hosts" }).click();
  await page.getByRole("link", { name: HOST }).click();
  await page.getByRole("heading", { name: HOST }).waitFor();
  const opened = page.context().waitForEvent("page");
  await page.getByRole("button", { name: "Open console" }).click();
  const tab = await opened;
  await tab.locator("body[data-control=live][data-video=live]").waitFor();
  await page.getByRole("heading", { name: `Console of ${HOST}` }).waitFor();
  return tab;
}

const panel = (page, name) => page.locator("section", { has: page.getByRole("heading", { name }) });

test("a console session's page says who else is in, and its end, as it happens", options, async () => {
  const tab = await opens(page);
  await page.locator("header").getByText("in use").waitFor();
  await panel(page, "Session").getByText(/^(30|29) min/).first().waitFor();
  const others = panel(page, "Who else is in");
  await others.getByText("Nobody else").waitFor();

  const operator = await another();
  await signIn(operator, "tess");
  const theirs = await opens(operator);
  await panel(operator, "Who else is in").getByText("ada").waitFor();
  // Nobody had to look again.
  const row = others.getByRole("row", { name: /tess/ });
  await row.getByText("in use").waitFor();
  await inspect(page, "session");
  // An operator ends its own, and no other's.
  assert.equal(await panel(operator, "Who else is in").getByRole("button", { name: "End" }).count(), 0);
  await row.getByRole("button", { name: "End" }).click();
  await page.getByRole("button", { name: "End session" }).last().click();
  await others.getByText("Nobody else").waitFor();
  await operator.getByText("This console session has ended: ada has ended it").waitFor();
  assert.equal(await operator.getByRole("link", { name: "Show the device" }).count(), 0);
  await inspect(operator, "session-ended");
  await operator.reload();
  await operator.getByText("This console session has ended").waitFor();
  await theirs.locator("body[data-control=lost]").waitFor();
  await operator.context().close();

  // Who closed the device's tab comes back to it, and whoever is not in it does not.
  await tab.close();
  const opened = context.waitForEvent("page");
  await page.getByRole("link", { name: "Show the device" }).click();
  const again = await opened;
  await again.locator("body[data-control=live][data-video=live]").waitFor();
  assert.equal(await again.evaluate(() => window.opener), null);
  const stranger = await another();
  const refused = await stranger.goto(again.url(), { waitUntil: "commit" });
  assert.equal(refused.status(), 403);
  await stranger.context().close();
  await page.getByRole("button", { name: "End session" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End session" }).click();
  await page.getByText("This console session has ended: ada has ended it").waitFor();
  await again.locator("body[data-control=lost]").waitFor();
  await again.close();
});

test("the device's console opens in a tab, and its page reaches nothing of ours", options, async () => {
  const tab = await opens(page);
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

  await page.getByRole("link", { name: HOST, exact: true }).first().click();
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
  await page.getByText("session.close").first().waitFor();
  for (const action of ["command.create", "token.create", "user.sign_in"]) {
    await page.getByText(action).first().waitFor();
  }
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText(/^All \d+ entries follow from one another/).waitFor();
  await inspect(page, "audit");
});
