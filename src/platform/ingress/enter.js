"use strict";
// The ticket is in the fragment, which no server, proxy or log ever sees. It leaves the address bar
// and the history before anything else happens.
const ticket = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
const state = document.cookie.match(/(?:^|; )fleetwire-state=([^;]*)/)?.[1] ?? "";

function fail(code, text) {
  document.title = "The console did not open";
  document.querySelector("h1").textContent = document.title;
  document.getElementById("text").textContent = text;
  document.getElementById("code").textContent = code;
}

async function enter() {
  if (ticket === "") {
    fail("ticket_missing", "This address has no ticket. Open the whole address that the platform " +
      "gave. Where this browser has entered the session already, the device is at " + location.origin + "/.");
    return;
  }
  let answer;
  try {
    answer = await fetch(location.pathname, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ticket, state }),
    });
  } catch {
    fail("platform_unreachable", "The platform does not answer. Open the address again.");
    return;
  }
  if (answer.ok) {
    // By the page itself, not by a redirect: the browser then sends a device's strict cookies.
    location.replace("/");
  } else {
    const [text, code] = (await answer.text()).split("\n");
    fail(code, text);
  }
}

enter();
