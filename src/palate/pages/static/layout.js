// What every page needs: the menu on narrow screens, and the switch between light and dark.

const root = document.documentElement;
const bar = document.querySelector(".bar");
const menu = document.querySelector(".menu-toggle");
const theme = document.querySelector(".theme-switch");

// The menu is open in the HTML, so that it works without this script; folding it is a service of ours.
if (menu && bar) {
  bar.classList.add("folded");
  menu.hidden = false;
  menu.addEventListener("click", () => {
    const folded = bar.classList.toggle("folded");
    menu.setAttribute("aria-expanded", String(!folded));
  });
}

function dark() {
  const chosen = root.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

if (theme) {
  const say = () => {
    theme.textContent = dark() ? "Light" : "Dark";
    theme.setAttribute("aria-label", dark() ? "Light colours" : "Dark colours");
  };
  theme.hidden = false;
  say();
  theme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    // In a cookie, so that the server writes it into the next page and nothing flashes.
    document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
    say();
  });
}

// Forms that cannot be taken back ask once.
for (const form of document.querySelectorAll("form[data-ask]")) {
  form.addEventListener("submit", (event) => {
    if (!confirm(form.dataset.ask)) event.preventDefault();
  });
}
