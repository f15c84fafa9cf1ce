"use strict";
// Shows passwords, counts down, opens the months at the latest one; pages work without it.
for (const button of document.querySelectorAll("[data-show]")) {
  const field = document.getElementById(button.dataset.show);
  button.hidden = false;
  button.addEventListener("click", () => {
    field.type = field.type === "password" ? "text" : "password";
    field.focus();
  });
}
for (const place of document.querySelectorAll("[data-countdown]")) {
  const end = Date.now() + 1000 * Number(place.dataset.countdown);
  const text = place.textContent;
  const tick = () => {
    const left = Math.max(0, Math.round((end - Date.now()) / 1000));
    place.textContent = text.replace(/[0-9][0-9\s.,\u00a0\u202f]*/, left + " ");
    if (left) setTimeout(tick, 1000);
  };
  tick();
}
for (const table of document.querySelectorAll(".months")) {
  const last = [...table.querySelectorAll("tbody tr:first-child td[class]")].pop();
  if (last) table.parentElement.scrollLeft = last.offsetLeft + last.offsetWidth - table.parentElement.clientWidth;
}
