// What moves on pages: times in the reader's zone, views as they change, plans while somebody types.
// Without it everything can be read, and every form works.

const days = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const hours = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** Writes times in the reader's zone; the title keeps UTC. */
function localTimes(root) {
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = `${time.dateTime.replace("T", " ").replace("Z", "")} UTC`;
    time.textContent = (at.toDateString() === today ? hours : days).format(at);
  }
}

/** Parts of a page, as nodes. Nothing in them runs: the policy of the page forbids it. */
function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  localTimes(template.content);
  return template.content;
}

/** Puts new content in the place of an element's, without taking the focus from whoever reads. */
function replace(element, content) {
  const held = element.contains(document.activeElement) ? document.activeElement : null;
  const name = held && (held.id ? `#${CSS.escape(held.id)}` : held.getAttribute("href") && `a[href="${CSS.escape(held.getAttribute("href"))}"]`);
  element.replaceChildren(content);
  if (name) element.querySelector(name)?.focus({ preventScroll: true });
}

function liveness(words) {
  const place = document.querySelector("#liveness");
  if (place && place.textContent !== words) place.textContent = words;
}

/** Buttons change with the state: those that fit it are fetched once. */
async function refreshActions() {
  const actions = document.querySelector("#actions");
  if (!actions?.childElementCount || actions.contains(document.activeElement)) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const fresh = parsed(await answer.text()).querySelector("#actions");
  if (fresh) actions.replaceChildren(...fresh.childNodes);
}

/** Follows a part while somebody sees it: a browser has few connections, and other tabs want some. */
function watch(element) {
  if (document.hidden) {
    document.addEventListener("visibilitychange", () => watch(element), { once: true });
    return;
  }
  let state = element.firstElementChild?.dataset.state;
  const source = new EventSource(element.dataset.live);
  const hide = () => {
    source.close();
    liveness("");
    watch(element);
  };
  document.addEventListener("visibilitychange", hide, { once: true });
  source.addEventListener("part", (event) => {
    const content = parsed(event.data);
    const now = content.firstElementChild?.dataset.state;
    replace(element, content);
    liveness("● Live");
    if (now !== state) {
      state = now;
      refreshActions().catch(() => {});
    }
  });
  source.addEventListener("error", () => {
    liveness("○ Not live: trying again");
    if (source.readyState !== EventSource.CLOSED) return;
    document.removeEventListener("visibilitychange", hide);
    setTimeout(() => watch(element), 10_000);
  });
}

function plan(form) {
  const place = document.querySelector("#plan");
  let waiting, asked = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const turn = ++asked;
      const fields = new URLSearchParams(new FormData(form));
      fields.delete("csrf");
      fields.delete("back");
      const answer = await fetch(`${form.dataset.plan}?${fields}`).catch(() => null);
      if (answer?.ok && !answer.redirected && turn === asked) place.replaceChildren(parsed(await answer.text()));
    }, 300);
  });
}

localTimes(document);
document.querySelectorAll("[data-live]").forEach(watch);
document.querySelectorAll("[data-plan]").forEach(plan);
