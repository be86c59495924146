// The chain's check against entries that are hashed here in another way, and against what breaks a chain.

import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { ChainCheck } from "./audit-chain";

const START = "00".repeat(32);

function word(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** An export of two entries, as docs/API.md has its form. */
function lines(): string[] {
  const entries = [
    {
      actor: "admin",
      action: "host.create",
      target: "host:1",
      host: "1",
      outcome: "done",
      details: [["name", "\u00fc"]],
    },
    {
      actor: "platform",
      action: "audit.remove",
      target: "audit",
      session: "2",
      outcome: "failed",
      details: [],
    },
  ];
  let before = START;
  const told = entries.map((entry, index) => {
    const at = Date.UTC(2026, 0, 1, 0, 0, index, 7);
    const numbers = Buffer.alloc(17);
    numbers.writeUInt8(1);
    numbers.writeBigUInt64BE(BigInt(index + 1), 1);
    numbers.writeBigUInt64BE(BigInt(at), 9);
    const count = Buffer.alloc(4);
    count.writeUInt32BE(entry.details.length);
    const words = [
      entry.actor,
      entry.action,
      entry.target,
      entry.host ?? "",
      entry.session ?? "",
      entry.outcome,
    ];
    const hash = createHash("sha256").update(Buffer.from(before, "hex")).update(numbers);
    for (const text of words) hash.update(word(text));
    hash.update(count);
    for (const text of entry.details.flat()) hash.update(word(text));
    before = hash.digest("hex");
    return { sequence: index + 1, at: new Date(at).toISOString(), ...entry, hash: before };
  });
  const first = { format: "fleetwire-audit/1", after: 0, hash: START };
  return [first, ...told, { head: 2, hash: before, at: "2026-01-02T00:00:00.000Z", signature: "" }].map(
    (line) => JSON.stringify(line),
  );
}

async function check(lines: string[]) {
  const chain = new ChainCheck();
  for (const line of [...lines, ""]) await chain.take(line);
  return chain.result();
}

test("a whole chain is whole", async () => {
  const chain = await check(lines());
  expect([chain.entries, chain.broken]).toEqual([2, undefined]);
});

test("what was changed, left out or put elsewhere is found", async () => {
  const changed = lines().map((line) => line.replace("host.create", "host.revoke"));
  expect((await check(changed)).broken).toBe(1);
  const [first, one, two, head] = lines() as [string, string, string, string];
  expect((await check([first, two, head])).broken).toBe(2);
  expect((await check([first, one, head])).broken).toBe(2);
  expect((await check([first, two, one, head])).broken).toBe(2);
});

test("an export that broke off, or is of another form, is none", async () => {
  const [first, one, two] = lines() as [string, string, string];
  await expect(check([first, one, two])).rejects.toThrow();
  await expect(check([one, two])).rejects.toThrow();
  await expect(check([first.replace("audit/1", "audit/2")])).rejects.toThrow();
});
