// The desktop: draws what the server sends, sends what is typed.
"use strict";
const canvas = document.getElementById("desktop");
const context = canvas.getContext("2d");
const line = new WebSocket(`wss://${location.host}/Citrix/StoreWeb/clients/HTML5Client/session?ticket=${canvas.dataset.ticket}`);
line.binaryType = "arraybuffer";
const say = (what) => line.readyState === WebSocket.OPEN && line.send(JSON.stringify(what));
let drawn = false;

// An area: place and size as 16-bit numbers, then RGBA.
line.addEventListener("message", ({ data }) => {
  const head = new DataView(data);
  const [x, y, width, height] = [0, 2, 4, 6].map((at) => head.getUint16(at));
  context.putImageData(new ImageData(new Uint8ClampedArray(data, 8), width, height), x, y);
  if (!drawn) {
    drawn = true;
    canvas.focus();
    requestAnimationFrame(() => requestAnimationFrame(() => say("drawn")));
  }
});
// Rings from the first key on (a page may be heard only after that) until Escape: a slow device needs a while to open its loudspeakers, and
// the clock of what is played may run before.
let audio = null;
async function bell() {
  audio = new AudioContext();
  await audio.resume();
  const tone = audio.createOscillator();
  tone.frequency.value = 440;
  tone.connect(audio.destination);
  tone.start();
}
canvas.addEventListener("keydown", (event) => {
  event.preventDefault();
  if (!audio) bell();
  if (event.key === "Escape") audio.close();
  say({ key: event.key });
});
line.addEventListener("close", () => {
  canvas.hidden = true;
  document.getElementById("ended").hidden = false;
});
