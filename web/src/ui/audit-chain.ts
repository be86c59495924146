// Checks an export of the audit log as docs/API.md tells its form: each entry's hash follows from the one before it
// and from what the entry says. The signature of the head is for `fleetwire audit verify`, with a key that came by
// another way than the export.

/** What came of a check. */
export interface Chain {
  entries: number;
  /** The number of the first entry whose hash does not follow; absent where all do. */
  broken?: number;
  /** The hash of the last entry. */
  head: string;
}

interface Line {
  sequence: number;
  at: string;
  actor: string;
  action: string;
  target: string;
  host?: string;
  session?: string;
  outcome: string;
  details: [string, string][];
  hash: string;
}

/** Takes an export's lines one after the other. */
export class ChainCheck {
  private before: Uint8Array<ArrayBuffer> | undefined;
  private chain: Chain = { entries: 0, head: "" };
  private ended = false;

  async take(text: string): Promise<void> {
    if (!text || this.chain.broken !== undefined) return;
    const line = JSON.parse(text) as Partial<Line> & { format?: string; head?: number };
    if (line.format !== undefined) {
      if (line.format !== "fleetwire-audit/1")
        throw new Error(`This console does not know the form ${line.format}.`);
      this.before = fromHex(line.hash ?? "");
      return;
    }
    if (!this.before) throw new Error("The export does not begin with its form.");
    if (line.head !== undefined) {
      this.ended = true;
      if (line.hash !== toHex(this.before)) this.chain.broken = line.head;
      return;
    }
    const entry = line as Line;
    const bytes = encoded(entry);
    const together = new Uint8Array(this.before.length + bytes.length);
    together.set(this.before);
    together.set(bytes, this.before.length);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", together));
    if (toHex(hash) !== entry.hash) {
      this.chain.broken = entry.sequence;
      return;
    }
    this.before = hash;
    this.chain.entries += 1;
    this.chain.head = entry.hash;
  }

  /** What came of it. An export that broke off is none. */
  result(): Chain {
    if (!this.ended && this.chain.broken === undefined)
      throw new Error("The export broke off before its end.");
    return this.chain;
  }
}

function encoded(entry: Line): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [Uint8Array.of(1), number64(entry.sequence), number64(Date.parse(entry.at))];
  const words = [
    entry.actor,
    entry.action,
    entry.target,
    entry.host ?? "",
    entry.session ?? "",
    entry.outcome,
  ];
  for (const word of words) parts.push(...text(word));
  parts.push(number32(entry.details.length));
  for (const [name, value] of entry.details) parts.push(...text(name), ...text(value));
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function text(word: string): [Uint8Array, Uint8Array] {
  const bytes = new TextEncoder().encode(word);
  return [number32(bytes.length), bytes];
}

function number32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function number64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
