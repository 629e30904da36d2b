// A part of a page, kept fresh: the server draws, this puts the new drawing in place of the old one.

const box = document.querySelector("#live");
const line = document.querySelector("#fresh");
const EVERY_MS = 5000;
let wait = EVERY_MS;

async function refresh() {
  try {
    const reply = await fetch(box.dataset.path, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (reply.redirected) throw new Error("Your session has ended. Load the page again.");
    if (!reply.ok) throw new Error("The server is busy; trying again.");
    const drawn = await reply.text();
    // Replacing what someone is reading or has focus in would take it from under them.
    const reading = box.contains(document.activeElement) || (getSelection()?.toString() && box.contains(getSelection().anchorNode));
    if (drawn !== box.dataset.drawn && !reading) {
      box.innerHTML = drawn;
      box.dataset.drawn = drawn;
    }
    line.textContent = `As of ${new Date().toLocaleTimeString()}`;
    wait = EVERY_MS;
  } catch (error) {
    line.textContent = error instanceof TypeError ? "The server does not answer; trying again." : error.message;
    wait = Math.min(wait * 2, 60000);
  }
  setTimeout(refresh, document.hidden ? Math.max(wait, 30000) : wait);
}

setTimeout(refresh, EVERY_MS);
