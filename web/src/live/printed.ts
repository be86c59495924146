// What hosts print while somebody looks on: the end of it of each, and of all together no more than a tab can hold.
// The result of each host has the rest.

/** Of what one host prints so much is kept where few print. */
const CHARACTERS_MAX = 200_000;
/** Of what all of them print together. */
export const CHARACTERS_MAX_IN_ALL = 4_000_000;

export interface Printed {
  /** From here on it is told anew: what comes first of a host may have been there before. */
  again(): void;
  /** A host printed something, so many bytes after the beginning. */
  add(hostId: string, offset: bigint, text: string): void;
  /** What there is, by host id. */
  texts(): Map<string, string>;
}

export function printed(): Printed {
  const texts = new Map<string, string>();
  const ends = new Map<string, bigint>();
  const joins = new Set<string>();
  const encoder = new TextEncoder();
  let most = CHARACTERS_MAX;
  return {
    again() {
      for (const hostId of ends.keys()) joins.add(hostId);
    },
    add(hostId, offset, whole) {
      if (!whole) return;
      const bytes = encoder.encode(whole);
      const end = ends.get(hostId) ?? 0n;
      const known = joins.delete(hostId) && offset < end ? Number(end - offset) : 0;
      const text = known ? new TextDecoder().decode(bytes.subarray(known)) : whole;
      const missing = offset > end ? "\n[…]\n" : "";
      ends.set(hostId, offset + BigInt(Math.max(bytes.length, known)));
      texts.set(hostId, ((texts.get(hostId) ?? "") + missing + text).slice(-most));
      if (texts.size * most <= CHARACTERS_MAX_IN_ALL) return;
      // In halves, so that many hosts do not have all cut with each that comes.
      most = Math.floor(most / 2);
      for (const [id, text] of texts) texts.set(id, text.slice(-most));
    },
    texts: () => new Map(texts),
  };
}
