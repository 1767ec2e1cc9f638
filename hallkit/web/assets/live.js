// Keeps a page true without a reload: replaces the pieces that changed, lets ages grow, and says
// so when the stream is gone. The page is complete without this script.
"use strict";
(() => {
  const body = document.body;
  const words = JSON.parse(body.dataset.words);
  const live = document.getElementById("live");
  const STALE_MS = 20000;
  let heard = Date.now();
  let ahead = Number(body.dataset.now) - Date.now(); // the server's clock against ours

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const now = () => Date.now() + ahead;

  function ago(ms, as) {
    const s = Math.max(0, Math.round((now() - ms) / 1000));
    if (as === "span" && s < 60) return words.under_a_minute;
    if (s < 5) return words.just_now;
    const [unit, n] =
      s < 60 ? ["seconds", s < 20 ? s : s - (s % 5)]
      : s < 3600 ? ["minutes", Math.floor(s / 60)]
      : s < 86400 ? ["hours", Math.floor(s / 3600)]
      : ["days", Math.floor(s / 86400)];
    const span = fill(words[unit], { n });
    return as === "span" ? span : fill(words.ago, { span });
  }

  function age(root) {
    for (const time of root.querySelectorAll("time[data-ms]")) {
      const text = ago(Number(time.dataset.ms), time.dataset.as);
      const shown = time.querySelector("[data-ago]");
      if (shown.textContent !== text) shown.textContent = text;
    }
  }

  function place(name, html) {
    const made = document.createElement("template");
    made.innerHTML = html;
    const fresh = made.content.firstElementChild;
    const old = document.getElementById(name);
    if (old && old.dataset.sort === fresh.dataset.sort) {
      // Whoever works by keyboard stays where they are, or comes to what is to be done next.
      const held = old.contains(document.activeElement) ? document.activeElement : null;
      old.replaceWith(fresh);
      if (held) {
        const same = held.id && fresh.querySelector(`#${held.id}`);
        (same || fresh.querySelector("button.primary") || fresh.querySelector("button, a"))?.focus();
      }
    } else {
      // New, or at another place in its order.
      old?.remove();
      const list = document.getElementById(fresh.dataset.list);
      const next = [...list.children].find((one) => one.dataset.sort > fresh.dataset.sort);
      list.insertBefore(fresh, next || null);
    }
    age(fresh);
    fresh.dispatchEvent(new CustomEvent("placed", { bubbles: true }));
  }

  function say(state) {
    if (live.dataset.live === state) return;
    live.dataset.live = state;
    const at = new Date(heard + ahead).toLocaleTimeString("zh-CN", { hour12: false, timeZone: "Asia/Shanghai" });
    live.querySelector("[data-mark]").textContent = state === "on" ? "●" : "✕";
    live.querySelector("[data-text]").textContent = state === "on" ? words.live : fill(words.live_lost, { time: at });
  }

  const source = new EventSource(body.dataset.events || "/events");
  source.addEventListener("pieces", (event) => {
    const told = JSON.parse(event.data);
    heard = Date.now();
    ahead = told.now_ms - heard;
    for (const name of told.gone) document.getElementById(name)?.remove();
    for (const [name, html] of Object.entries(told.changed)) place(name, html);
    say("on");
  });
  source.addEventListener("ended", () => location.reload());
  // A closed source (logged out, restarted) does not come back by itself.
  source.addEventListener("error", () => {
    say("off");
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  });
  setInterval(() => {
    if (Date.now() - heard > STALE_MS) say("off");
    age(document);
  }, 1000);
})();
