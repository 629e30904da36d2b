// One key, one action. The keys stand in the HTML (data-key), so that what is printed is what works.

const TYPING = "input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]";
const SWITCH = "palate.keys";

// Single keys get in the way of some speech and switch devices (WCAG 2.1.4), so they can be turned off.
export function keysAreOn() {
  return localStorage.getItem(SWITCH) !== "off";
}

export function turnKeys(on) {
  localStorage.setItem(SWITCH, on ? "on" : "off");
}

// Calls a button's own click, so that a key and a click can never do different things.
export function listen({ blocked = () => false } = {}) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!keysAreOn() || isTyping(event.target) || blocked(event)) return;
    const button = buttonFor(event.key);
    if (!button || button.disabled) return;
    event.preventDefault();
    button.click();
  });
}

// A field of a dialog that was just closed keeps the focus until the next frame; nobody is typing there any more.
function isTyping(target) {
  return Boolean(target.closest(TYPING)?.getClientRects().length);
}

function buttonFor(key) {
  const wanted = key.length === 1 ? key.toLowerCase() : key;
  // An open dialog has the keys to itself; what lies behind it must not hear them.
  const scope = document.querySelector("dialog[open]") ?? document;
  for (const button of scope.querySelectorAll("[data-key]")) {
    if (button.dataset.key === wanted && button.offsetParent !== null) return button;
  }
  return null;
}

export function keySwitch(box) {
  if (!box) return;
  box.checked = keysAreOn();
  box.addEventListener("change", () => turnKeys(box.checked));
}
