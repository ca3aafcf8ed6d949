const cards = element("cards");
const byName = [...cards.children];
const buttons = [...document.querySelectorAll("[data-order]")];

function order(button) {
  const byLikeness = (one, two) => Number(one.dataset.psnr) - Number(two.dataset.psnr);
  cards.replaceChildren(...(button.dataset.order === "name" ? byName : byName.toSorted(byLikeness)));
  for (const each of buttons) each.setAttribute("aria-pressed", String(each === button));
}

for (const button of buttons) button.addEventListener("click", () => order(button));
listen({ t: toggleTheme });
