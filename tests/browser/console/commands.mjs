// Commands: run on one host and on two, watched as they get on, with a file that the browser brings, and what comes of
// one that is not allowed.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../driver.mjs";
import { api, FOLDER, go, HOST, HOSTILE, inspect, options, page, SHOWN } from "./stage.mjs";

const begun = () => page.waitForURL(/\/commands\/[0-9a-f-]{36}$/);
/** The panel of one host on a command's page. */
const panel = (host) => page.locator("section.panel", { has: page.getByRole("heading", { name: host, exact: true }) });

test("a script runs on it, and what it prints is text, seen while it runs", options, async () => {
  // It waits at the first before it prints, so that somebody follows it by then, and at the second before it ends.
  const [prints, ends] = ["prints", "ends"].map((name) => join(FOLDER, name));
  execFileSync("mkfifo", [prints, ends]);
  await go("Hosts");
  await page.getByRole("checkbox", { name: `Select ${HOST}` }).check();
  await page.getByRole("button", { name: "Run a command" }).click();
  await page.fill("textarea[name=content]", `read -r line < "$2"; printf '%s\\n' 'first line' '${HOSTILE}'; read -r line < "$3"; read -r line < "$1"; echo "$line"`);
  await page.fill("textarea[name=arguments]", `/proc/sys/kernel/ostype\n${prints}\n${ends}`);
  const send = page.getByRole("button", { name: "Run on 1 host" });
  await send.waitFor();
  await inspect(page, "run");
  await send.click();
  await begun();
  const output = page.getByLabel("Output");
  await panel(HOST).locator("header").getByText("running").waitFor();
  await writeFile(prints, "\n");
  await output.getByText("first line").waitFor();
  await panel(HOST).locator("header").getByText("running").waitFor();
  // Who comes in the middle of it sees what was printed before, once.
  await page.reload();
  await output.getByText("first line").waitFor();
  assert.equal((await output.innerText()).trim(), `first line\n${SHOWN}`);
  await writeFile(ends, "\n");
  await panel(HOST).locator("header").getByText("succeeded").waitFor();
  const printed = await until("what it printed", () => output.innerText(), (text) => text.includes("Linux"));
  assert.equal(printed.trim(), `first line\n${SHOWN}\nLinux`);
  await inspect(page, "command-script");
  await go("Commands");
  await page.getByRole("row", { name: /Script/ }).getByText("1 / 1").waitFor();
  await inspect(page, "commands");
});

test("a package is installed on two hosts, and what each prints is watched", options, async () => {
  const name = process.env.FLEETWIRE_TEST_PACKAGE;
  for (const [operation, packages, ended] of [["Update", "", "Hit:|Get:|Reading"], ["Install", name, `Setting up ${name}`]]) {
    await go("Run a command");
    await page.getByRole("radio", { name: "Package" }).check();
    await page.getByRole("radio", { name: operation, exact: true }).check();
    if (packages) {
      await page.fill("textarea[name=packages]", packages);
      await page.getByRole("checkbox", { name: "Yes" }).check();
    }
    for (const host of ["packing-1", "packing-2"]) await page.getByRole("button", { name: `+ ${host}` }).click();
    await page.getByRole("button", { name: "Run on 2 hosts" }).click();
    await begun();
    for (const host of ["packing-1", "packing-2"]) {
      await panel(host).getByRole("region").getByText(new RegExp(ended)).first().waitFor();
      await panel(host).locator("header").getByText("succeeded").waitFor();
    }
  }
  await page.getByRole("status").getByText("2 succeeded").waitFor();
  await page.getByText(`Installed packages`).first().waitFor();
  const rows = page.locator("section", { has: page.getByRole("heading", { name: "Hosts" }) }).getByRole("row", { name: /packing-/ });
  await page.getByLabel("State").selectOption({ label: "failed (0)" });
  await page.getByText("No host is in this state").waitFor();
  assert.equal(await rows.count(), 0);
  await page.getByLabel("State").selectOption({ label: "succeeded (2)" });
  await rows.nth(1).waitFor();
  await inspect(page, "command");
});

test("an inventory is taken on the page of a host, and stays there", options, async () => {
  await go("Hosts");
  await page.getByRole("link", { name: HOST }).click();
  await page.getByText("None was taken yet").waitFor();
  await page.getByRole("button", { name: "Take inventory" }).click();
  const inventory = page.locator("section", { has: page.getByRole("heading", { name: "Inventory" }) });
  for (const fact of ["Kernel", "Processors", "Memory"]) await inventory.getByText(fact, { exact: true }).waitFor();
  await inspect(page, "host-inventory");
  await page.reload();
  await inventory.getByText("Kernel", { exact: true }).waitFor();
  await inventory.getByRole("button", { name: "All of it" }).click();
  await page.getByRole("dialog").getByText("How it got there").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
});

test("a file is brought from this machine, whole, for hosts to take", options, async () => {
  const content = randomBytes(2_500_000);
  await go("Run a command");
  await page.getByRole("radio", { name: "File transfer" }).check();
  await page.getByRole("radio", { name: "To host" }).check();
  await page.setInputFiles("input[type=file]", { name: "firmware.bin", mimeType: "application/octet-stream", buffer: content });
  await until("it was brought", () => page.locator("select[name=file]").inputValue());
  await inspect(page, "run-file");
  const { files } = await api("GET", "/api/files");
  assert.deepEqual(files.map(({ name, size_bytes, complete }) => [name, Number(size_bytes), complete]), [["firmware.bin", 2_500_000, true]]);
  await page.getByRole("radio", { name: "Agent update" }).check();
  await page.getByText("fleetwire agent sign").waitFor();
  await inspect(page, "run-update");
});

test("a command that the agent's owner does not allow is a dead letter, and is seen to", options, async () => {
  await go("Run a command");
  await page.getByRole("radio", { name: "System" }).check();
  await page.getByRole("radio", { name: "Reboot" }).check();
  await page.getByRole("button", { name: `+ ${HOST}` }).click();
  await page.getByRole("button", { name: "Run on 1 host" }).click();
  // Before what runs there is cut off, it asks.
  await inspect(page, "run-reboot");
  await page.getByRole("dialog", { name: "Reboot 1 host?" }).getByRole("button", { name: "Run on 1 host" }).click();
  await begun();
  await panel(HOST).locator("header").getByText("dead").waitFor();
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
