// The demo device's console: sends keyboard and mouse, watches the video, uploads files, shows what
// the device says about itself. What it knows stands in the page for people and for tests.

const byId = (id) => document.getElementById(id);
const say = (id, text) => { byId(id).textContent = text; };
const page = document.body.dataset;
const screen = byId("screen");
const video = byId("video");

const names = { live: "Live", connecting: "Connecting", lost: "Connection lost, trying again" };
function state(part, value) {
  if (page[part] === value) return;
  page[part] = value;
  const states = [page.control, page.video];
  say("state", names[["lost", "connecting"].find((name) => states.includes(name)) ?? "live"]);
}

// Video. Every frame carries its number as a bar code, so that frames can be counted here.

const CODE = { x: 16, y: 336, square: 16, bits: 16 };
const FPS_WINDOW_MS = 2000;
const STALLED_MS = 5000;
const sampler = Object.assign(document.createElement("canvas"), { width: CODE.bits, height: 1 })
  .getContext("2d", { willReadFrequently: true });
let lastNumber = -1;
let lastChange = performance.now();
let arrivals = [];

function frameNumber() {
  const { x, y, square, bits } = CODE;
  sampler.imageSmoothingEnabled = false;
  sampler.drawImage(video, x, y + square / 4, square * bits, square / 2, 0, 0, bits, 1);
  const pixels = sampler.getImageData(0, 0, bits, 1).data;
  let number = 0;
  for (let bit = 0; bit < bits; bit += 1) number = number * 2 + (pixels[bit * 4] > 128 ? 1 : 0);
  return number;
}

function watch(now) {
  if (video.naturalWidth > 0) {
    const number = frameNumber();
    if (number !== lastNumber) {
      lastNumber = number;
      lastChange = now;
      arrivals.push(now);
      say("frame", number);
      state("video", "live");
    }
  }
  arrivals = arrivals.filter((time) => now - time < FPS_WINDOW_MS);
  if (now - lastChange > STALLED_MS) reopenVideo();
  requestAnimationFrame(watch);
}

function reopenVideo() {
  state("video", "lost");
  lastChange = performance.now();
  video.src = `/stream?again=${Date.now()}`;
}

requestAnimationFrame(watch);
setInterval(() => say("fps", (arrivals.length * 1000 / FPS_WINDOW_MS).toFixed(1)), 500);
document.addEventListener("visibilitychange", () => { lastChange = performance.now(); });

// Control: each event has a number, and the device answers with it.

const RETRY_MS = [500, 1000, 2000, 4000, 8000];
let socket;
let tries = 0;
let sent = 0;
let answered = 0;
const waiting = new Map();

function connect() {
  const address = new URL("/ws", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  socket = new WebSocket(address, "kvm.demo.v1");
  socket.onopen = () => { tries = 0; state("control", "live"); };
  socket.onclose = () => {
    state("control", "lost");
    waiting.clear();
    setTimeout(connect, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
  };
  socket.onmessage = ({ data }) => {
    const { type, seq } = JSON.parse(data);
    if (type !== "ack" || !waiting.has(seq)) return;
    say("latency", `${(performance.now() - waiting.get(seq)).toFixed(1)} ms`);
    waiting.delete(seq);
    say("answered", ++answered);
  };
}

function send(event) {
  if (socket.readyState !== WebSocket.OPEN) return;
  const seq = ++sent;
  waiting.set(seq, performance.now());
  socket.send(JSON.stringify({ ...event, seq }));
  say("sent", sent);
}

function key(event, down) {
  // The browser's own chords stay the browser's.
  if (event.metaKey || event.ctrlKey || event.key === "F5" || event.key === "F12") return;
  event.preventDefault();
  send({ type: "key", key: event.key, down });
  if (down) say("last", event.key === " " ? "Space" : event.key);
}

// A pointer moves far more often than a screen shows it: at most one move a frame goes out.
let move = null;
let scheduled = false;

function place(event) {
  const box = video.getBoundingClientRect();
  return {
    type: "pointer",
    x: (event.clientX - box.left) / box.width,
    y: (event.clientY - box.top) / box.height,
    buttons: event.buttons,
  };
}

function sendMove() {
  if (move) send(move);
  move = null;
  scheduled = false;
}

screen.addEventListener("keydown", (event) => key(event, true));
screen.addEventListener("keyup", (event) => key(event, false));
screen.addEventListener("pointermove", (event) => {
  move = place(event);
  if (!scheduled) requestAnimationFrame(sendMove);
  scheduled = true;
});
for (const name of ["pointerdown", "pointerup"]) {
  screen.addEventListener(name, (event) => {
    move = null;
    send(place(event));
    say("last", name === "pointerdown" ? "Button down" : "Button up");
  });
}
screen.addEventListener("wheel", () => send({ type: "wheel" }), { passive: true });
screen.addEventListener("contextmenu", (event) => event.preventDefault());
connect();

// What the device says about itself.

const events = new EventSource("/events");
events.addEventListener("status", ({ data }) => {
  const { viewers, uptime_s: uptime } = JSON.parse(data);
  say("viewers", viewers);
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  say("uptime", `${Math.floor(uptime / 3600)}:${two(uptime / 60 % 60)}:${two(uptime % 60)}`);
});

// Upload.

const MIB = 1024 * 1024;
const VERIFY_MAX = 256 * MIB;
const size = (bytes) => (bytes < MIB ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / MIB).toFixed(1)} MiB`);
const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

function upload(file) {
  const report = byId("upload");
  const progress = byId("progress");
  delete report.dataset.sha256;
  say("file-name", file.name);
  const request = new XMLHttpRequest();
  request.open("POST", "/upload");
  request.upload.onprogress = ({ loaded, total }) => {
    progress.value = total ? loaded / total : 0;
    report.textContent = `${size(loaded)} of ${size(total)}`;
  };
  request.onerror = () => { report.textContent = "The upload broke off."; };
  request.onload = async () => {
    if (request.status !== 200) {
      report.textContent = `The device refused it: ${request.status}`;
      return;
    }
    const { bytes, sha256 } = JSON.parse(request.responseText);
    progress.value = 1;
    // The page can only check what fits its memory, and only where the browser lends it the hash.
    let verdict = "";
    if (crypto.subtle && file.size <= VERIFY_MAX) {
      const own = hex(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
      verdict = own === sha256 ? ", as sent" : ", not what was sent!";
    }
    report.textContent = `${size(bytes)} arrived${verdict}. SHA-256 ${sha256}`;
    report.dataset.sha256 = sha256;
  };
  request.send(file);
}

const drop = byId("drop");
byId("file").addEventListener("change", ({ target }) => { if (target.files[0]) upload(target.files[0]); });
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) upload(event.dataTransfer.files[0]);
  });
}
