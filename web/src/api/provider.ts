// Sign-in over the OpenID provider: there, and back with a code. What is to come back is kept for this tab, and compared:
// a stranger's code would sign the user in as the stranger.

import { AuthService } from "fleetwire/api/v1/auth";
import { call, Refused } from "./call";
import { enter, resume } from "./session";

/** Where the provider sends the browser back to: `redirect_uris` of the platform's settings names it. */
const BACK = "/signed-in";
/** Where what is to come back is kept. */
const KEPT = "fleetwire.provider";

interface Kept {
  state: string;
  /** Where the user wanted to go. */
  path: string;
}

/** What the provider is called, where there is one. */
export async function provider(): Promise<string | undefined> {
  return (await call(AuthService.method.getSignInOptions, {})).oidcProvider;
}

/** Leaves for the provider's pages. */
export async function leave(): Promise<void> {
  const redirectUri = location.origin + BACK;
  const begun = await call(AuthService.method.beginOidcSignIn, { redirectUri });
  const kept: Kept = { state: begun.state, path: location.pathname + location.search };
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
  location.assign(begun.authorizationUrl);
}

/** Takes up the sign-in that an earlier page has left, or that the provider has just sent the browser back with. */
export async function arrive(): Promise<void> {
  if (location.pathname !== BACK) return resume();
  const query = new URLSearchParams(location.search);
  const kept: Kept | null = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  sessionStorage.removeItem(KEPT);
  // A code is good once: a reload is not to bring it again.
  history.replaceState(null, "", kept?.path.startsWith("/") && kept.path !== BACK ? kept.path : "/");
  const [state, code] = [query.get("state"), query.get("code")];
  if (!kept || !state || kept.state !== state)
    return resume("That sign-in was not begun in this tab. Begin again.");
  if (!code) return resume("The provider did not let you in.");
  try {
    const { tokens } = await call(AuthService.method.completeOidcSignIn, { state, code });
    if (tokens) enter(tokens);
    return resume();
  } catch (error) {
    return resume(error instanceof Refused ? error.message : "Something went wrong.");
  }
}
