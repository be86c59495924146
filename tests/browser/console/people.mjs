// Who may do what: users, groups with their windows, keys, and a second factor.

import assert from "node:assert/strict";
import { test } from "node:test";
import { another, go, inspect, options, page, PASSWORD, signIn, totp, URL_BASE } from "./stage.mjs";

test("users, groups and keys are made, and a key is shown once", options, async () => {
  await go("Groups");
  await page.getByRole("button", { name: "Add a group" }).click();
  await page.fill("dialog input[name=name]", "lab");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("row", { name: /lab/ }).getByRole("button", { name: "Edit" }).click();
  await page.getByRole("button", { name: "Add a window" }).click();
  for (const day of ["Saturday", "Sunday"]) await page.getByRole("checkbox", { name: day }).check();
  await page.fill("dialog input[name=start]", "02:30");
  await page.fill("dialog input[name=minutes]", "90");
  await page.fill("dialog input[name=time_zone]", "Europe/Berlin");
  await inspect(page, "group");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Sat, Sun 02:30 Europe/Berlin, 1 h 30 min").waitFor();
  // What was said before stands in the form again, and goes out of it.
  await page.getByRole("row", { name: /lab/ }).getByRole("button", { name: "Edit" }).click();
  assert.equal(await page.locator("dialog input[name=start]").inputValue(), "02:30");
  assert.ok(await page.getByRole("checkbox", { name: "Sunday" }).isChecked());
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
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

test("labels and groups of several hosts are changed at once", options, async () => {
  await go("Hosts");
  for (const host of ["packing-1", "packing-2"]) await page.getByRole("checkbox", { name: `Select ${host}` }).check();
  await page.getByRole("button", { name: "Labels and groups" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Labels to add").fill("a label that no host may have=1");
  await dialog.getByRole("button", { name: "Change 2 hosts" }).click();
  await dialog.getByText("2 failed").waitFor();
  await dialog.getByText("packing-2:").waitFor();
  await inspect(page, "hosts-bulk");
  await dialog.getByLabel("Labels to add").fill("rack: 7");
  await dialog.getByLabel("Add to group").selectOption({ label: "lab" });
  await dialog.getByRole("button", { name: "Try again on 2 hosts" }).click();
  await dialog.getByText("2 of 2 changed.").waitFor();
  await dialog.getByRole("button", { name: "Close" }).click();
  const changed = page.getByRole("row", { name: /packing-/ }).filter({ hasText: "rack=7" }).filter({ hasText: "lab" });
  await changed.nth(1).waitFor();
  await page.getByRole("button", { name: "Clear selection" }).click();
});

test("a second factor is turned on, and asked for from then on", options, async () => {
  const tess = await another();
  await signIn(tess, "tess");
  await tess.getByRole("link", { name: "tess" }).click();
  const factor = tess.locator("section", { has: tess.getByRole("heading", { name: "Second factor" }) });
  await factor.getByLabel("Your password").fill(PASSWORD);
  await factor.getByRole("button", { name: "Set it up" }).click();
  await tess.getByRole("img", { name: "The second factor's secret as a QR code" }).waitFor();
  const secret = (await factor.locator(".secret").innerText()).replace(/\s/g, "");
  await inspect(tess, "account-totp");
  await factor.getByLabel("Code", { exact: true }).fill(totp(secret));
  await factor.getByRole("button", { name: "Turn it on" }).click();
  await tess.getByRole("heading", { name: "Recovery codes, shown this once" }).waitFor();
  const codes = (await tess.locator("dialog .secret").innerText()).trim().split(/\s+/);
  assert.ok(codes.length >= 8, `${codes.length} codes`);
  await tess.getByRole("button", { name: "I have kept them" }).click();
  await tess.getByRole("button", { name: "Sign out" }).click();
  // A code is good once, and so is the next one's for this one's moment.
  await signIn(tess, "tess", () => totp(secret, 1));
  await tess.getByRole("button", { name: "Sign out" }).click();
  await signIn(tess, "tess", () => codes[0]);
  await tess.getByRole("link", { name: "tess" }).click();
  await factor.getByRole("button", { name: "Turn it off" }).click();
  const asked = tess.getByRole("dialog");
  await inspect(tess, "account-totp-off");
  await asked.getByLabel("Your password").fill(PASSWORD);
  await asked.getByLabel("Code", { exact: true }).fill(codes[1]);
  await asked.getByRole("button", { name: "Turn it off" }).click();
  await tess.getByText("Your second factor is off").waitFor();
  await signIn(tess, "tess");
  await tess.context().close();
});

test("one's own account, and what the platform says of itself", options, async () => {
  await page.getByRole("link", { name: "ada" }).click();
  await page.getByRole("heading", { name: "Second factor" }).waitFor();
  await inspect(page, "account");
  await go("About");
  await page.getByRole("heading", { name: "Backups" }).waitFor();
  await page.getByRole("button", { name: "Make a backup" }).click();
  await page.locator("section", { has: page.getByRole("heading", { name: "Backups" }) }).getByRole("row").nth(1).waitFor();
  const platform = page.locator("section", { has: page.getByRole("heading", { name: "Platform" }) });
  for (const fact of ["Version", "Certificate", "Authority", "Storage"]) await platform.getByText(fact, { exact: true }).waitFor();
  await inspect(page, "about");
});
