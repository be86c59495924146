// Who is signed in, in this browser. A sign-in's tokens are kept where all tabs of this origin find them, so that
// one tab's renewal is every tab's: a refresh token that came twice would end the sign-in. A device's page, whose
// origin is another, cannot read them. An API key is kept for its tab alone.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { AuthService, type Tokens } from "fleetwire/api/v1/auth";
import { Role } from "fleetwire/api/v1/role";
import type { User } from "fleetwire/api/v1/user";
import { alone } from "./alone";
import { call, Refused } from "./call";

/** Where the tokens of a sign-in are kept. */
const SIGN_IN = "fleetwire.sign-in";
/** Where an API key is kept. */
const KEY = "fleetwire.api-key";
/** A token is renewed so long before its end. */
const BEFORE_END_MS = 60_000;
/** A token is good for so long at least, whatever this machine's clock says. */
const GOOD_MS_MIN = 5 * 60_000;
/** A renewal is given up after so long, before another tab has its turn (`alone`). */
const RENEWED_MS_MAX = 10_000;
/** A platform that does not answer is asked again after so long. */
const AWAY_MS = 2_000;

interface SignIn {
  /** Whose it is. */
  user: string;
  access: string;
  /** By this machine's clock. */
  accessUntil: number;
  refresh: string;
}

/** What the pages know of who is signed in. */
export type Session =
  | { state: "unknown" }
  | { state: "out"; why?: string }
  | { state: "in"; user: User; byKey: boolean };

let session: Session = { state: "unknown" };
const listeners = new Set<() => void>();

export function current(): Session {
  return session;
}

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function become(next: Session): void {
  session = next;
  for (const listener of listeners) listener();
}

/** The signed-in user's role. */
export function role(): Role {
  return session.state === "in" ? session.user.role : Role.UNSPECIFIED;
}

/** Takes up the sign-in that an earlier page or another tab has left; `why` says why there is none. */
export async function resume(why?: string): Promise<void> {
  addEventListener("storage", ({ key }) => {
    if (key === SIGN_IN) look();
  });
  if (apiKey() || kept()) await identify();
  else become({ state: "out", why });
}

/** Another tab has signed in, signed out, or renewed what it signed in with. */
function look(): void {
  if (apiKey()) return;
  const now = kept();
  if (!now) {
    if (session.state !== "out") become({ state: "out", why: "You signed out in another tab." });
  } else if (session.state === "out" || (session.state === "in" && session.user.id !== now.user)) {
    // What is shown is the one's before: none of it stays, and nothing is asked for in the other's name for it.
    become({ state: "unknown" });
    void identify();
  }
}

/** Asks who is signed in. */
export async function identify(): Promise<void> {
  try {
    const { user } = await call(AuthService.method.getMe, {}, await token());
    if (!user) return;
    // Another tab may have signed in as somebody else meanwhile.
    const now = apiKey() ? undefined : kept()?.user;
    if (now && now !== user.id) return identify();
    become({ state: "in", user, byKey: apiKey() !== null });
  } catch (error) {
    const refused = error instanceof Refused && (error.status === 401 || error.status === 403);
    if (refused && session.state !== "out") forget(error.message);
    // Who is signed in stays so while the platform is away; a page that has just been opened waits for it.
    else if (session.state === "unknown") setTimeout(() => void identify(), AWAY_MS);
  }
}

/** Signs in with a password, and a code where one is asked for. */
export async function signIn(user: string, password: string, code?: string): Promise<void> {
  const { tokens } = await call(AuthService.method.signIn, { user, password, code });
  if (tokens) enter(tokens);
}

/** Takes what a sign-in gave. */
export function enter(tokens: Tokens): void {
  if (!tokens.user) throw new Refused(0, "unknown", "The platform's answer has no tokens.");
  sessionStorage.removeItem(KEY);
  keep(tokens);
  become({ state: "in", user: tokens.user, byKey: false });
}

/** Comes in with an API key. */
export async function useKey(key: string): Promise<void> {
  const { user } = await call(AuthService.method.getMe, {}, key);
  if (!user) throw new Refused(0, "unknown", "The platform's answer has no user.");
  sessionStorage.setItem(KEY, key);
  become({ state: "in", user, byKey: true });
}

/** Ends the sign-in, on the platform and here. */
export async function signOut(): Promise<void> {
  const credential = await token().catch(() => undefined);
  if (credential && !apiKey()) await call(AuthService.method.signOut, {}, credential).catch(() => undefined);
  forget();
}

/** Forgets the sign-in, which is good no more. */
export function forget(why?: string): void {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(SIGN_IN);
  become({ state: "out", why });
}

/** A credential that is good now. `refused` is one that the platform has just not taken. */
export async function token(refused?: string): Promise<string> {
  const key = apiKey();
  if (key && key !== refused) return key;
  const good = () => {
    const signIn = kept();
    const fresh = signIn && signIn.access !== refused && signIn.accessUntil - BEFORE_END_MS > Date.now();
    return fresh ? signIn.access : undefined;
  };
  return good() ?? alone(SIGN_IN, async () => good() ?? renew());
}

/** Until when the present credential is good; `undefined` for one that does not end. */
export function tokenUntil(): number | undefined {
  return apiKey() ? undefined : kept()?.accessUntil;
}

async function renew(): Promise<string> {
  const refreshToken = kept()?.refresh;
  if (!refreshToken) {
    // Who was told why they are out keeps reading that.
    if (session.state !== "out")
      forget(session.state === "in" ? "The credential is not taken any more." : undefined);
    throw new Refused(401, "not_signed_in", "You are not signed in.");
  }
  // Another tab may sign in or out meanwhile: then what this one learns is of a sign-in that is none any more.
  const still = () => kept()?.refresh === refreshToken;
  try {
    const { tokens } = await call(AuthService.method.refreshTokens, { refreshToken }, undefined, {
      keepalive: true,
      signal: AbortSignal.timeout(RENEWED_MS_MAX),
    });
    if (tokens && still()) return keep(tokens);
    const other = kept();
    if (other) return other.access;
    throw new Refused(401, "not_signed_in", "You are not signed in.");
  } catch (error) {
    if (error instanceof Refused && error.status === 401 && still())
      forget("Your sign-in has ended. Sign in again.");
    throw error;
  }
}

function keep({ accessToken, accessExpiresAt, refreshToken, user }: Tokens): string {
  const until = accessExpiresAt ? timestampMs(accessExpiresAt) : 0;
  const signIn: SignIn = {
    user: user?.id ?? kept()?.user ?? "",
    access: accessToken,
    accessUntil: Math.max(until, Date.now() + GOOD_MS_MIN),
    refresh: refreshToken,
  };
  localStorage.setItem(SIGN_IN, JSON.stringify(signIn));
  return accessToken;
}

function kept(): SignIn | undefined {
  try {
    return JSON.parse(localStorage.getItem(SIGN_IN) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}

function apiKey(): string | null {
  return sessionStorage.getItem(KEY);
}
