// One tab at a time: of two that traded the same refresh token, both would lose their sign-in. Where the browser has
// locks it keeps them; it has none where a page came over plain HTTP from another machine. There, tabs agree by what
// they all can write: whoever wants a turn puts its name down where nobody's is, waits until all tabs must have seen
// that, and what they wrote before they had, and has the turn if its name is the one that stands. A tab that nobody
// looks at is woken too seldom for that, and wants its turn once somebody does. A tab that was closed in its turn lets the next wait no
// longer than a turn may last.

/** A turn lasts no longer. */
const TURN_MS_MAX = 15_000;
/** After so long all have seen what one tab has written, and it what they wrote before they had. */
const SEEN_MS = 250;

/** What tabs share, and the clock, which a test brings of its own. */
export interface Shared {
  get(key: string): string | null;
  set(key: string, value: string): void;
  remove(key: string): void;
  now(): number;
  wait(ms: number): Promise<void>;
  /** Waits until the tab is looked at. */
  seen(): Promise<void>;
  random(): string;
}

const shared: Shared = {
  get: (key) => localStorage.getItem(key),
  set: (key, value) => localStorage.setItem(key, value),
  remove: (key) => localStorage.removeItem(key),
  now: Date.now,
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  seen: () =>
    new Promise((resolve) => {
      const look = () => {
        if (document.visibilityState === "hidden") return;
        document.removeEventListener("visibilitychange", look);
        resolve();
      };
      document.addEventListener("visibilitychange", look);
      look();
    }),
  random: () => crypto.getRandomValues(new Uint32Array(4)).join("-"),
};

/** Does a piece of work while no other tab of this origin does one of that name. */
export function alone<T>(name: string, work: () => Promise<T>): Promise<T> {
  if (navigator.locks) return navigator.locks.request(name, work) as Promise<T>;
  return inTurn(name, work);
}

/** The same by what tabs share. */
export async function inTurn<T>(name: string, work: () => Promise<T>, tabs: Shared = shared): Promise<T> {
  const key = `${name}.turn`;
  const ours = tabs.random();
  for (;;) {
    await tabs.seen();
    const { whose, until } = turn(tabs.get(key));
    const left = until - tabs.now();
    // A clock that was set back does not make a turn endless.
    if (whose === ours && left > 0) break;
    if (whose === undefined || left <= 0 || left > TURN_MS_MAX) {
      tabs.set(key, JSON.stringify([ours, tabs.now() + TURN_MS_MAX]));
    }
    await tabs.wait(SEEN_MS);
  }
  try {
    return await work();
  } finally {
    if (turn(tabs.get(key)).whose === ours) tabs.remove(key);
  }
}

function turn(text: string | null): { whose?: string; until: number } {
  try {
    const [whose, until] = JSON.parse(text ?? "") as unknown[];
    if (typeof whose === "string" && typeof until === "number") return { whose, until };
  } catch {
    // Nobody's, or nothing of ours.
  }
  return { until: 0 };
}
