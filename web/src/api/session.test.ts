// Who is signed in, as another tab of the same browser changes it.

import { expect, test, vi } from "vitest";

/** What a browser has for its pages, as far as a session asks for it. */
function browser() {
  const storage = () => {
    const kept = new Map<string, string>();
    return {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
      removeItem: (key: string) => void kept.delete(key),
    };
  };
  const local = storage();
  let heard: (event: { key: string }) => void = () => {};
  const asked: string[] = [];
  vi.stubGlobal("localStorage", local);
  vi.stubGlobal("sessionStorage", storage());
  vi.stubGlobal("addEventListener", (_: string, listener: typeof heard) => {
    heard = listener;
  });
  let renewed: (tokens: object) => void = () => {};
  vi.stubGlobal("fetch", async (path: string, { headers }: { headers: Headers }) => {
    if (path.endsWith("/refresh")) {
      const tokens = await new Promise<object>((resolve) => {
        renewed = resolve;
      });
      return new Response(JSON.stringify(tokens));
    }
    const name = headers.get("authorization")?.replace("Bearer of-", "") ?? "";
    asked.push(name);
    return new Response(JSON.stringify({ id: `id-${name}`, name, role: "viewer" }));
  });
  return {
    asked,
    renewed: (tokens: object) => renewed(tokens),
    /** Another tab signs in. */
    signIn(name: string) {
      const until = Date.now() + 900_000;
      const signIn = { user: `id-${name}`, access: `of-${name}`, accessUntil: until, refresh: `r-${name}` };
      local.setItem("fleetwire.sign-in", JSON.stringify(signIn));
      heard({ key: "fleetwire.sign-in" });
    },
    signOut() {
      local.removeItem("fleetwire.sign-in");
      heard({ key: "fleetwire.sign-in" });
    },
  };
}

test("who signs in in another tab is who is signed in here, and nothing of who was is shown", async () => {
  const there = browser();
  const session = await import("./session");
  const states: string[] = [];
  session.subscribe(() => {
    const now = session.current();
    states.push(now.state === "in" ? now.user.name : now.state);
  });
  there.signIn("ada");
  await session.resume();
  expect(states).toEqual(["ada"]);
  // A renewal of the same sign-in changes nobody.
  there.signIn("ada");
  expect(states).toEqual(["ada"]);
  there.signIn("bob");
  expect(states).toEqual(["ada", "unknown"]);
  // Once more, before it was known who that is.
  there.signIn("eve");
  await vi.waitFor(() => expect(states).toEqual(["ada", "unknown", "eve"]));
  expect(await session.token()).toBe("of-eve");
  // A renewal that ends after somebody else has signed in is of a sign-in that is none any more.
  vi.stubGlobal("navigator", { locks: { request: (_: string, work: () => Promise<string>) => work() } });
  const renewal = session.token("of-eve");
  there.signIn("ada");
  there.renewed({ access_token: "of-old", refresh_token: "old" });
  expect(await renewal).toBe("of-ada");
  expect(await session.token()).toBe("of-ada");
  await vi.waitFor(() => expect(states.at(-1)).toBe("ada"));
  there.signOut();
  expect(states.at(-1)).toBe("out");
  // Who was told why keeps reading that, whatever else still wants to be let in.
  session.forget("It is off.");
  await expect(session.token()).rejects.toThrow();
  expect(session.current()).toEqual({ state: "out", why: "It is off." });
});
