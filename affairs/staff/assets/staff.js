// Sends orders without leaving the page, and shows a person's number for a while only. Every form
// here works without this script too.
"use strict";
(() => {
  const message = document.getElementById("said");

  const newKey = () =>
    Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

  function say(title, text) {
    message.replaceChildren();
    if (!title) return;
    const box = document.createElement("p");
    box.className = "notice";
    box.dataset.tone = "attention";
    const mark = document.createElement("span");
    mark.className = "mark";
    mark.setAttribute("aria-hidden", "true");
    mark.textContent = "▲";
    const said = document.createElement("span");
    const strong = document.createElement("strong");
    strong.textContent = title;
    said.append(strong, ` ${text}`);
    box.append(mark, said);
    message.append(box);
  }

  async function send(form, button) {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams(new FormData(form, button)),
      signal: AbortSignal.timeout(10000),
    });
    return answer.json();
  }

  async function order(form, button) {
    const key = form.elements.key;
    // One key a press: after an answer the next press is another one; without an answer it is the same.
    if (!key.value) key.value = newKey();
    form.setAttribute("aria-busy", "true");
    try {
      const told = await send(form, button);
      key.value = "";
      say(told.ok ? "" : told.title, told.text);
      // No stream: the page as it is now.
      if (told.again || (told.ok && document.getElementById("live")?.dataset.live !== "on")) location.reload();
    } catch {
      say(document.body.dataset.unsent, "");
    } finally {
      form.removeAttribute("aria-busy");
    }
  }

  async function reveal(form) {
    const shown = form.closest(".identity");
    try {
      const told = await send(form);
      if (!told.ok) return say(told.title, told.text);
      shown.querySelector("[data-name]").textContent = told.name;
      shown.querySelector("[data-number]").textContent = told.number;
      form.hidden = true;
      const masked = [...document.querySelectorAll("[data-field]")];
      for (const one of masked) if (told.fields?.[one.dataset.field]) one.textContent = told.fields[one.dataset.field];
      setTimeout(() => {
        for (const one of masked) one.textContent = one.dataset.hidden;
        shown.querySelector("[data-name]").textContent = shown.dataset.hiddenName;
        shown.querySelector("[data-number]").textContent = shown.dataset.hiddenNumber;
        form.hidden = false;
      }, Number(document.body.dataset.seenFor) * 1000);
    } catch {
      say(document.body.dataset.unsent, "");
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!("order" in form.dataset || "identity" in form.dataset)) return;
    event.preventDefault();
    if (form.getAttribute("aria-busy") === "true") return;
    if ("order" in form.dataset) order(form, event.submitter);
    else reveal(form);
  });

  // What was typed and ticked for a case stays while its piece is replaced.
  const typed = new Map();
  document.addEventListener("input", (event) => {
    const kept = event.target.form?.dataset.keep;
    if (kept) typed.set(`${kept} ${event.target.id}`, event.target.type === "checkbox" ? event.target.checked : event.target.value);
  });
  document.addEventListener("placed", (event) => {
    for (const one of event.target.querySelectorAll("[data-keep] input[type=checkbox], [data-keep] textarea")) {
      const value = typed.get(`${one.form.dataset.keep} ${one.id}`);
      if (value !== undefined) one[one.type === "checkbox" ? "checked" : "value"] = value;
    }
  });

  // The keys that the buttons name, the same in every browser; without this script they are the
  // browser's own, with the modifier that it likes.
  const own = (root) => {
    for (const one of root.querySelectorAll("[accesskey]")) {
      one.dataset.access = one.accessKey;
      one.removeAttribute("accesskey");
    }
  };
  own(document);
  document.addEventListener("placed", (event) => own(event.target));
  document.addEventListener("keydown", (event) => {
    if (!event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const wanted = event.code.replace(/^Key/, "").toLowerCase();
    const button = /^[a-z]$/.test(wanted) && document.querySelector(`[data-access="${wanted}"]`);
    if (!button) return;
    event.preventDefault();
    if (!event.repeat) button.click();
  });

  // Who is called hears of it: the tab's title counts, the page flashes, a telephone trembles.
  const title = document.title.replace(/^\(\d+\) /, "");
  let rang = new Set((document.getElementById("ringing")?.dataset.calls || "").split(" "));
  function ring(piece) {
    const calls = (piece.dataset.calls || "").split(" ").filter(Boolean);
    document.title = calls.length ? `(${calls.length}) ${title}` : title;
    const isNew = calls.some((one) => !rang.has(one));
    rang = new Set(calls);
    if (!isNew) return;
    document.body.classList.remove("rings");
    requestAnimationFrame(() => document.body.classList.add("rings"));
    // Browsers let a page tremble only after somebody has touched it.
    if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.([400, 200, 400, 200, 400]);
  }
  document.addEventListener("placed", (event) => {
    if (event.target.id === "ringing") ring(event.target);
  });

  // A menu closes when one looks elsewhere.
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details.me[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });
})();
