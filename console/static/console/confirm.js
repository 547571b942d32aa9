/* A button with data-confirm asks first. The dialog lives outside of all that refreshes: it keeps what the button would
   send, sends it itself, and always says what came of it. */
(() => {
  "use strict";

  const PATIENCE = 30_000;
  const UNREACHABLE = "The console could not be reached. Try once more; if it stays, load the page to see what holds.";
  const REFUSED = {
    400: "The console did not understand this. Load the page again and try once more.",
    403: "This was refused: your role may not do it, or this page is too old. Load the page again.",
    404: "What this was about is no longer there.",
    413: "This is more than the console takes at once.",
    429: "That was too often. Wait a moment and try once more.",
  };
  let asked = null;

  const part = (name) => document.getElementById(`confirm-${name}`);

  function address(button) {
    return new URL(button.getAttribute("formaction") || button.form.getAttribute("action") || "", window.location.href).href;
  }

  function capture(button) {
    return {
      action: address(button),
      body: new FormData(button.form, button),
      button,
      count: button.form.querySelectorAll("input[name=run]:checked").length,
      gone: button.dataset.gone || "This is no longer offered: what it was about has changed meanwhile.",
    };
  }

  function worded(text, count) {
    return text.replaceAll("{n}", count === 1 ? "1 run" : `${count} runs`);
  }

  function open(event) {
    const button = event.target.closest?.("button[data-confirm]");
    if (!button || !button.form || button.disabled) return;
    event.preventDefault();
    if (!button.form.reportValidity()) return;
    asked = capture(button);
    part("question").textContent = worded(button.dataset.confirm, asked.count);
    part("yes").textContent = worded(button.dataset.yes || "Yes", asked.count);
    part("yes").classList.toggle("kc-danger-full", button.matches(".kc-danger"));
    document.getElementById("confirm").classList.toggle("kc-dialog-danger", button.matches(".kc-danger"));
    part("no").textContent = "No";
    tell("");
    document.getElementById("confirm").showModal();
    part("yes").focus();
  }

  function tell(sentence, { isBusy = false, mayPress = !isBusy } = {}) {
    part("answer").textContent = sentence;
    part("answer").hidden = !sentence;
    part("answer").classList.toggle("kc-message-warning", !isBusy);
    part("yes").disabled = !mayPress;
  }

  /* The buttons of the page that would send to the same address: refreshing may have put others in the place of the first. */
  function standing(was) {
    return [...document.querySelectorAll("button[data-confirm]")].filter((button) => button.form && address(button) === was.action);
  }

  function noticeChange() {
    if (!asked || asked.isSending || !document.getElementById("confirm").open) return;
    const [offered] = standing(asked);
    if (offered) {
      part("question").textContent = worded(offered.dataset.confirm, asked.count);
      if (part("yes").disabled) tell("");
      return;
    }
    tell(asked.gone, { mayPress: false });
    part("no").textContent = "Close";
    part("no").focus();
  }

  function freshToken() {
    return document.cookie.split("; ").find((one) => one.startsWith("csrftoken="))?.slice("csrftoken=".length);
  }

  async function send(event) {
    if (asked?.isSending) return event.preventDefault();
    if (!asked || event.submitter?.value !== "yes") return;
    event.preventDefault();
    const was = asked;
    was.isSending = true;
    tell("Asking …", { isBusy: true });
    const token = freshToken();
    if (token) was.body.set("csrfmiddlewaretoken", token);
    const outcome = await post(was);
    was.isSending = false;
    if (outcome.to) return leave(outcome.to);
    asked = was;
    tell(outcome.sentence);
    if (!document.getElementById("confirm").open) document.getElementById("confirm").showModal();
    part("yes").focus();
  }

  async function post(was) {
    try {
      const answer = await fetch(was.action, {
        method: "POST",
        body: was.body,
        headers: { "X-Console-Dialog": "1" },
        signal: AbortSignal.timeout(PATIENCE),
      });
      if (!answer.ok) return { sentence: REFUSED[answer.status] || `The console answered with an error (${answer.status}). Load the page to see what holds.` };
      return { to: (await answer.json()).to };
    } catch (error) {
      return { sentence: error.name === "TimeoutError" ? "The console has not answered for 30 seconds. Load the page to see whether it was done." : UNREACHABLE };
    }
  }

  function leave(to) {
    const there = new URL(to, window.location.href);
    if (there.searchParams.has("next") && there.origin === window.location.origin) {
      there.searchParams.set("next", window.location.pathname + window.location.search);  // the way back from the login
    }
    if (there.hash && there.href.split("#")[0] === window.location.href.split("#")[0]) window.location.reload();
    else window.location.assign(there);
  }

  /* The browser tells of a closing some time after it: by then the dialog may stand there again, with another question. */
  function close() {
    if (!asked || document.getElementById("confirm").open) return;
    const again = asked.button.isConnected ? asked.button : standing(asked)[0];
    (again || document.getElementById("content"))?.focus();
    asked = null;
  }

  document.addEventListener("click", open);
  document.addEventListener("console:changed", noticeChange);
  document.addEventListener("htmx:afterSettle", noticeChange);
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("confirm")?.addEventListener("close", close);
    document.getElementById("confirm")?.addEventListener("cancel", (event) => { if (asked?.isSending) event.preventDefault(); });
    document.querySelector("#confirm form")?.addEventListener("submit", send);
  });
})();
