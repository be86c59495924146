// What hosts print while somebody looks on: the end of it of each, and of all together no more than a tab can hold.
// The result of each host has the rest.

/** Of what one host prints so much is kept where few print. */
const CHARACTERS_MAX = 200_000;
/** Of what all of them print together. */
export const CHARACTERS_MAX_IN_ALL = 4_000_000;

export interface Printed {
  /** A host printed something, so many bytes after the beginning. */
  add(hostId: string, offset: bigint, text: string): void;
  /** What there is, by host id. */
  texts(): Map<string, string>;
}

export function printed(): Printed {
  const texts = new Map<string, string>();
  const ends = new Map<string, bigint>();
  const encoder = new TextEncoder();
  let most = CHARACTERS_MAX;
  return {
    add(hostId, offset, text) {
      if (!text) return;
      const missing = offset > (ends.get(hostId) ?? 0n) ? "\n[…]\n" : "";
      ends.set(hostId, offset + BigInt(encoder.encode(text).length));
      texts.set(hostId, ((texts.get(hostId) ?? "") + missing + text).slice(-most));
      if (texts.size * most <= CHARACTERS_MAX_IN_ALL) return;
      // In halves, so that many hosts do not have all cut with each that comes.
      most = Math.floor(most / 2);
      for (const [id, text] of texts) texts.set(id, text.slice(-most));
    },
    texts: () => new Map(texts),
  };
}
