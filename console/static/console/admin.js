/* Fields of the admin that choose several things say to a screen reader what they are. */
(() => {
  "use strict";

  function name(field) {
    const box = field.closest(".field-line, .form-row, .group\\/line, div[class*=field-]");
    const label = box?.querySelector("label")?.textContent.trim().replace(/[:*]+$/, "");
    if (!field.getAttribute("aria-label")) field.setAttribute("aria-label", label || "Choose");
  }

  function flatten(list) {
    list.setAttribute("role", "group");
    name(list);
    for (const item of list.children) if (item.getAttribute("role") !== "presentation") item.setAttribute("role", "presentation");
  }

  function mend() {
    document.querySelectorAll(".select2-search__field").forEach(name);
    document.querySelectorAll("ul.select2-selection__rendered").forEach(flatten);
  }

  function watch() {
    mend();
    const content = document.getElementById("content");
    if (content?.querySelector("select[multiple]")) new MutationObserver(mend).observe(content, { childList: true, subtree: true });
  }

  if (window.location.pathname.startsWith("/admin/")) window.addEventListener("load", watch);
})();
