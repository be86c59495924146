// Text that came from elsewhere (hosts, devices, programs, people), as it can be shown without lying: what has no
// glyph of its own, or would turn the line around, stands as its code point.

import { Fragment } from "react";

/** Controls but for tab and line feed; bidi and invisible formatting; lone surrogates. */
const STRANGE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
/** Colours and the like of a terminal (ECMA-48 SGR), which say nothing here. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with one
const COLOUR = /\u001b\[[0-9;:]*m/g;

/** One piece of a text: as it is, or the code point that stands for what cannot be shown. */
export interface Piece {
  text: string;
  strange: boolean;
}

export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let from = 0;
  for (const match of text.matchAll(STRANGE)) {
    if (match.index > from) found.push({ text: text.slice(from, match.index), strange: false });
    const code = match[0].codePointAt(0) ?? 0;
    found.push({ text: `\u27e8${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`, strange: true });
    from = match.index + match[0].length;
  }
  if (from < text.length || !found.length) found.push({ text: text.slice(from), strange: false });
  return found;
}

/** The same as one string, for titles and labels. */
export function plain(text: string): string {
  return pieces(text.replace(/[\t\n]/g, " "))
    .map(({ text }) => text)
    .join("");
}

function shown(found: Piece[]) {
  return found.map(({ text, strange }, index) =>
    strange ? (
      // biome-ignore lint/suspicious/noArrayIndexKey: pieces have no other name, and none moves
      <span key={index} className="strange">
        {text}
      </span>
    ) : (
      // biome-ignore lint/suspicious/noArrayIndexKey: as above
      <Fragment key={index}>{text}</Fragment>
    ),
  );
}

/** A name or a word, which is its own as to its direction. */
export function Word({ children }: { children: string }) {
  return <bdi>{shown(pieces(children.replace(/[\t\n]/g, " ")))}</bdi>;
}

/** What a program printed. What it overwrote on its line (a lone carriage return) stands on a line of its own. */
export function Output({ text, label }: { text: string; label: string }) {
  const lines = text.replace(COLOUR, "").replace(/\r+\n/g, "\n").replace(/\r/g, "\n");
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard
    <pre className="output" tabIndex={0} role="region" aria-label={label} dir="ltr">
      {shown(pieces(lines))}
    </pre>
  );
}
