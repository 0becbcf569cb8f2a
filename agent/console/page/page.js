// The board follows the agent. Nothing here is needed for a press: buttons are forms.
"use strict";
const board = document.getElementById("board");
const lost = document.getElementById("lost");
let waiting = null; // a board that came while a finger was down
let held = false;
const wanted = new Map(); // the newest picture of each session

const session = (img) => new URL(img.src).searchParams.get("session");
const pictureOf = (id) => [...board.querySelectorAll("img")].find((img) => session(img) === id);

function put(html) {
  if (held) { waiting = html; return; }
  waiting = null;
  const at = document.activeElement && board.contains(document.activeElement) ? document.activeElement.id : "";
  const next = document.createElement("main");
  next.innerHTML = html;
  for (const img of next.querySelectorAll("img")) { // a picture stays until the next one is there
    const of = session(img), old = pictureOf(of);
    wanted.set(of, img.src);
    if (!old) continue;
    img.replaceWith(old);
    if (old.src !== img.src) img.decode().then(() => { if (wanted.get(of) === img.src) pictureOf(of)?.replaceWith(img); }, () => {});
  }
  for (const chosen of board.querySelectorAll("input:checked")) { // what somebody chose and did not press yet
    const same = chosen.id && next.querySelector("#" + CSS.escape(chosen.id));
    if (same) same.checked = true;
  }
  board.replaceChildren(...next.childNodes);
  if (at) document.getElementById(at)?.focus();
  ask();
}

// Who cannot see the card hears once that somebody waits, and that an alarm rings.
function ask() {
  const text = [...board.querySelectorAll("[data-asks]")].map((card) => "A session at " + card.dataset.asks + " waits for your answer.").join(" ");
  const says = document.getElementById("asks");
  if (says.textContent !== text) says.textContent = text;
  const alarm = [...board.querySelectorAll("[data-alarm]")].map((x) => x.dataset.alarm).join(" ");
  const rings = document.getElementById("alarms");
  if (rings.textContent !== alarm) rings.textContent = alarm;
}
ask();

// A press whose button is replaced under the finger would be lost.
addEventListener("pointerdown", () => { held = true; }, true);
for (const end of ["pointerup", "pointercancel", "blur"]) {
  addEventListener(end, () => setTimeout(() => { held = false; if (waiting !== null) put(waiting); }, 0), true);
}

let shown = "";
const source = new EventSource("signed" in document.body.dataset ? "/live?signed" : "/live");
source.addEventListener("over", () => location.replace("/"));
source.onmessage = (e) => {
  lost.hidden = true;
  if (e.data !== shown) { shown = e.data; put(e.data); }
};
source.onerror = () => { lost.hidden = false; };
