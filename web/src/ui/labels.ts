// How labels are written: `key=value`, or the key alone where there is no value. On input a colon stands for the
// equals sign too.

import { plain } from "./text";

export const labelText = (key: string, value: string) => (value ? `${key}=${value}` : key);

/** One label a line. */
export function labelsText(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([key, value]) => labelText(key, value))
    .join("\n");
}

/** A label as it was typed. */
export function labelOf(text: string): [key: string, value: string] {
  const at = text.search(/[:=]/);
  return at < 0 ? [text.trim(), ""] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

export function labelsOf(text: string): Record<string, string> {
  const lines = text.split("\n").map((line) => line.trim());
  return Object.fromEntries(lines.filter(Boolean).map(labelOf));
}

/** What hosts can be chosen by: a label with its value, or its key alone, which stands for any value. */
export function labelChoices(
  labels: readonly { key: string; value: string; hosts: bigint }[],
): { value: string; text: string }[] {
  const ofKey = new Map<string, { values: number; hosts: bigint; bare: boolean }>();
  for (const { key, value, hosts } of labels) {
    const of = ofKey.get(key) ?? { values: 0, hosts: 0n, bare: false };
    ofKey.set(key, { values: of.values + 1, hosts: of.hosts + hosts, bare: of.bare || !value });
  }
  return [...ofKey].flatMap(([key, { values, hosts, bare }]) => [
    // With one value alone any value is that one.
    ...(values > 1 || bare ? [{ value: key, text: `${plain(key)}, any value (${hosts})` }] : []),
    ...labels
      .filter((label) => label.key === key && label.value)
      .map(({ value, hosts }) => ({
        value: labelText(key, value),
        text: `${plain(labelText(key, value))} (${hosts})`,
      })),
  ]);
}
