"use strict";

// What every page has: elements by name, light or dark, keys that leave fields and dialogs alone.

const element = (id) => document.getElementById(id);

function toggleTheme() {
  const isDark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
  document.dispatchEvent(new Event("themechange"));
}

function listen(keys) {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("select, input, dialog");
    const isPressing = event.key === " " && event.target.closest("button, a, summary");
    if (isTyping || isPressing || event.ctrlKey || event.metaKey) return;
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  document.dispatchEvent(new Event("themechange"));
});
element("theme")?.addEventListener("click", toggleTheme);
element("help-button")?.addEventListener("click", () => element("help").showModal());

