/* Draw a PowerPoint file in the browser: a rail of small slides, the chosen one large; when that fails, say so. */
const box = document.querySelector("[data-slides]");
const part = (name) => box.querySelector(`[data-${name}]`);
const [note, place, rail, body] = ["slides-note", "slides-place", "slides-rail", "slides-body"].map(part);
const SMALL = 132;

function follow(viewer) {
  const buttons = [];
  const drawn = new Set();

  function thumbnail(number) {
    if (drawn.has(number)) return;
    drawn.add(number);
    viewer.renderThumbnailToContainer(number, buttons[number].firstChild, { width: SMALL });
  }

  const seen = new IntersectionObserver((found) => {
    for (const each of found) if (each.isIntersecting) thumbnail(Number(each.target.dataset.slide));
  }, { root: rail, rootMargin: "300px" });

  for (let number = 0; number < viewer.slideCount; number += 1) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.slide = String(number);
    button.setAttribute("aria-label", `Slide ${number + 1}`);
    button.append(document.createElement("span"), document.createElement("span"));
    button.lastChild.textContent = String(number + 1);
    button.firstChild.inert = true;
    button.addEventListener("click", () => go(number));
    const line = document.createElement("li");
    line.append(button);
    rail.append(line);
    buttons.push(button);
    seen.observe(button);
  }

  function show() {
    const now = viewer.currentSlideIndex;
    part("slide-place").textContent = `${now + 1} / ${viewer.slideCount}`;
    buttons.forEach((button, number) => button.setAttribute("aria-current", String(number === now)));
    buttons[now]?.scrollIntoView({ block: "nearest", inline: "nearest" });
    box.dataset.slideShown = String(now + 1);
  }

  async function go(number) {
    await viewer.goToSlide(number);
    show();
  }

  const steps = {
    ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1, Home: -Infinity, End: Infinity,
  };
  const step = (by) => go(Math.min(Math.max(viewer.currentSlideIndex + by, 0), viewer.slideCount - 1));
  const full = () => (document.fullscreenElement ? document.exitFullscreen() : body.requestFullscreen());

  body.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isButton = event.key === " " && event.target.closest("button");
    if (event.key in steps && !isButton) {
      event.preventDefault();
      event.stopPropagation();
      step(steps[event.key]);
    } else if (event.key === "f") {
      event.stopPropagation();
      full();
    }
  });
  for (const button of box.querySelectorAll("[data-slide-step]")) {
    button.addEventListener("click", () => step(Number(button.dataset.slideStep)));
  }
  part("slides-full").addEventListener("click", full);
  document.addEventListener("fullscreenchange", () => { viewer.setZoom(viewer.zoomPercent); part("slides-stage").focus(); });
  part("slides-tools").hidden = false;
  show();
}

try {
  const [{ PptxViewer, RECOMMENDED_ZIP_LIMITS }, answer] = await Promise.all([
    import(box.dataset.renderer),
    fetch(box.dataset.slides, { credentials: "same-origin" }),
  ]);
  if (!answer.ok) throw new Error(await answer.text());
  body.hidden = false;
  const viewer = await PptxViewer.open(await answer.arrayBuffer(), place, {
    zipLimits: RECOMMENDED_ZIP_LIMITS,
    pdfjs: false,
    scrollContainer: part("slides-stage"),
    renderMode: "slide",
  });
  const count = viewer.slideCount;
  note.textContent = `${count} slide${count === 1 ? "" : "s"}, drawn by your browser: fonts and effects may differ from PowerPoint's.`;
  if (count) follow(viewer);
  box.dataset.drawn = String(count);
} catch (error) {
  console.warn("The slides could not be drawn.", error);
  body.hidden = true;
  place.replaceChildren();
  note.textContent = "These slides cannot be drawn here. Download the file to see it.";
  box.dataset.drawn = "0";
}
