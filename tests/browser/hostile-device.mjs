// A device whose page is after the console that somebody has open beside it, in Chromium: whatever it tries, it reads
// nothing of the console's, stands in none of its frames, and is told nothing. tests/it/hostile_device.rs starts the
// platform, and an agent for the device that this serves, whose address it prints first.
//
// FLEETWIRE_TEST_URL is the platform's own address, FLEETWIRE_TEST_KEY its administrator's API key.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { launch, until } from "./driver.mjs";

const URL_BASE = process.env.FLEETWIRE_TEST_URL;
const KEY = process.env.FLEETWIRE_TEST_KEY;
const PASSWORD = "a long enough password";

/** What the device's page does. It is the device's own source: nothing of this file's is there. */
async function attack(platform) {
  const found = {};
  const attempt = async (name, work) => {
    const late = new Promise((resolve) => setTimeout(resolve, 5000, "nothing came"));
    try {
      found[name] = await Promise.race([work(), late]);
    } catch (error) {
      found[name] = `refused: ${error.name}`;
    }
  };
  const text = (answer) => answer.text();
  const framed = () =>
    new Promise((resolve) => {
      const frame = document.body.appendChild(document.createElement("iframe"));
      frame.onload = () => {
        const says = () => frame.contentDocument?.body.textContent ?? "";
        try {
          resolve(says());
        } catch (error) {
          resolve(`refused: ${error.name}`);
        }
      };
      frame.src = platform;
    });

  await attempt("cookies", () => document.cookie);
  await attempt("local storage", () => JSON.stringify({ ...localStorage }));
  await attempt("session storage", () => JSON.stringify({ ...sessionStorage }));
  await attempt("databases", async () => JSON.stringify(await indexedDB.databases()));
  await attempt("caches", async () => JSON.stringify("caches" in window ? await caches.keys() : []));
  await attempt("the opener", () => String(window.opener));
  await attempt("the parent", () => String(window.parent === window && window.top === window));
  await attempt("another's domain", () => {
    document.domain = location.hostname.split(".").slice(1).join(".");
    return "taken";
  });
  await attempt("the API with credentials", () => fetch(`${platform}/api/hosts`, { credentials: "include" }).then(text));
  await attempt("the API with a token", () =>
    fetch(`${platform}/api/hosts`, { headers: { authorization: "Bearer x" } }).then(text),
  );
  await attempt("the API without asking", async () => {
    const answer = await fetch(`${platform}/api/fleet`, { mode: "no-cors", credentials: "include" });
    return `${answer.type} ${await answer.text()}`;
  });
  await attempt("the API as a script", () =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.onload = () => resolve("it ran");
      script.onerror = () => reject(new DOMException("", "NetworkError"));
      script.src = `${platform}/api/openapi.json`;
      document.head.append(script);
    }),
  );
  await attempt("the console's page as a program", () => import(`${platform}/`));
  await attempt("events without a credential", () =>
    new Promise((resolve) => {
      const socket = new WebSocket(`${platform.replace("http", "ws")}/api/events`, "fleetwire.events.v1.json");
      socket.onopen = () => socket.send('{"watch":{}}');
      socket.onmessage = ({ data }) => resolve(data);
      socket.onclose = ({ code }) => resolve(`closed ${code}`);
    }),
  );
  await attempt("a frame of it", framed);
  await attempt("a window of it", async () => {
    const other = window.open(`${platform}/`, "console");
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const reached = [];
    for (const [name, work] of [
      ["document", () => other.document.title],
      ["storage", () => JSON.stringify({ ...other.localStorage })],
      ["address", () => other.location.href],
    ]) {
      try {
        reached.push(`${name} ${work()}`);
      } catch (error) {
        reached.push(`${name} refused: ${error.name}`);
      }
    }
    other?.postMessage({ "fleetwire.sign-in": null, type: "sign-out" }, "*");
    other?.close();
    return reached.join(", ");
  });
  await attempt("a worker over it", () =>
    navigator.serviceWorker.register("/worker.js", { scope: `${platform}/` }).then(() => "registered"),
  );
  await attempt("a worker of its program", () =>
    navigator.serviceWorker.register(`${platform}/worker.js`).then(() => "registered"),
  );
  await attempt("what tabs say to each other", () => {
    const heard = [];
    for (const name of ["fleetwire", "fleetwire.sign-in", "fleetwire.api-key"]) {
      const channel = new BroadcastChannel(name);
      channel.onmessage = ({ data }) => heard.push(data);
      channel.postMessage({ type: "sign-out" });
    }
    return new Promise((resolve) => setTimeout(() => resolve(JSON.stringify(heard)), 1000));
  });
  await attempt("locks that it holds", async () => {
    const { held } = await navigator.locks.query();
    return JSON.stringify(held);
  });
  window.found = found;
}

/** What the device was asked, whole. */
const asked = [];
const device = createServer((request, answer) => {
  asked.push(JSON.stringify([request.method, request.url, request.rawHeaders]));
  if (request.url === "/worker.js") {
    // It would be everybody's, if the browser believed it.
    answer.writeHead(200, { "content-type": "text/javascript", "service-worker-allowed": "/" }).end("");
    return;
  }
  const page = `<!doctype html><title>device</title><body><script>(${attack})(${JSON.stringify(URL_BASE)})</script>`;
  // Nor does it help to say that others may.
  answer
    .writeHead(200, {
      "content-type": "text/html",
      "access-control-allow-origin": URL_BASE,
      "access-control-allow-credentials": "true",
      "cross-origin-opener-policy": "unsafe-none",
      "set-cookie": ["fleetwire-session=stolen; Path=/", `wide=1; Domain=${new URL(URL_BASE).hostname}`],
    })
    .end(page);
});
await new Promise((resolve) => device.listen(0, "127.0.0.1", resolve));
console.log(`device at http://127.0.0.1:${device.address().port}`);

async function api(method, path, body) {
  const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json" };
  const answer = await fetch(URL_BASE + path, { method, headers, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}

const { browser, context, page } = await launch();
try {
  await api("POST", "/api/users", { name: "ada", role: "operator", password: PASSWORD, grants: { all_hosts: true } });
  const { id } = await until("the host", async () => {
    const { hosts } = await api("GET", "/api/hosts?status=online");
    return hosts[0];
  });
  await page.goto(URL_BASE);
  await page.fill("input[name=username]", "ada");
  await page.fill("input[name=password]", PASSWORD);
  await page.click("button[type=submit]");
  await page.getByRole("navigation").first().waitFor();
  // An API key lies in a tab's own storage: it is to be as far away.
  await page.evaluate((key) => sessionStorage.setItem("beside", key), KEY);
  await page.goto(`${URL_BASE}/hosts/${id}`);
  const opened = context.waitForEvent("page");
  await page.getByRole("button", { name: "Open console" }).click();
  const tab = await opened;
  await tab.waitForFunction(() => window.found);
  const found = await tab.evaluate(() => window.found);
  console.log(`# ${JSON.stringify(found, null, 2).replaceAll("\n", "\n# ")}`);

  const expected = {
    // Its own, at its own name alone, and not the session's in the place of the platform's.
    cookies: /^wide=1$/,
    "local storage": /^\{\}$/,
    "session storage": /^\{\}$/,
    databases: /^\[\]$/,
    caches: /^\[\]$/,
    "the opener": /^null$/,
    "the parent": /^true$/,
    "another's domain": /^refused/,
    "the API with credentials": /^refused/,
    "the API with a token": /^refused/,
    "the API without asking": /^(refused.*|opaque )$/,
    "the API as a script": /^refused/,
    "the console's page as a program": /^refused/,
    "events without a credential": /^closed 1008$/,
    "a frame of it": /^(refused.*|)$/,
    "a window of it": /^document refused.*, storage refused.*, address refused/,
    "a worker over it": /^refused/,
    "a worker of its program": /^refused/,
    "what tabs say to each other": /^\[\]$/,
    "locks that it holds": /^\[\]$/,
  };
  assert.deepEqual(Object.keys(found), Object.keys(expected), "all was tried");
  for (const [name, says] of Object.entries(expected)) assert.match(String(found[name]), says, name);

  // Of what must not leave the console nothing came out of the page, and nothing reached the device.
  const kept = await page.evaluate(() => JSON.parse(localStorage.getItem("fleetwire.sign-in")));
  const cookies = (await context.cookies()).filter(({ httpOnly }) => httpOnly);
  assert.ok(kept.access && kept.refresh && cookies.length > 0);
  const secrets = [kept.access, kept.refresh, KEY, ...cookies.map(({ value }) => value)];
  const told = JSON.stringify(found) + asked.join("\n");
  for (const secret of secrets) assert.ok(!told.includes(secret), "a secret came out");
  // Framed it shows nothing of its own, and beside all this it goes on as before.
  for (const frame of tab.frames().slice(1)) {
    assert.ok(!(await frame.content()).includes("id=\"root\""), "it stands in a frame");
  }
  await page.getByRole("heading", { name: "Console of kvm" }).waitFor();
  // Nor does the console take the device's page into a frame of its own.
  const refused = await page.evaluate(
    (device) =>
      new Promise((resolve) => {
        addEventListener("securitypolicyviolation", ({ effectiveDirective }) => resolve(effectiveDirective));
        document.body.appendChild(document.createElement("iframe")).src = device;
      }),
    new URL(tab.url()).origin,
  );
  assert.equal(refused, "frame-src");
  await page.reload();
  await page.getByRole("heading", { name: "Console of kvm" }).waitFor();
  console.log("nothing was reached");
} finally {
  await browser.close();
  device.close();
}
