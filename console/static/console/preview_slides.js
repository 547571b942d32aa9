/* Draw a PowerPoint file as slides, in the browser; when that fails, say so and leave the download. */
const box = document.querySelector("[data-slides]");
const note = box.querySelector("[data-slides-note]");
const place = box.querySelector("[data-slides-place]");

try {
  const [{ PptxViewer, RECOMMENDED_ZIP_LIMITS }, answer] = await Promise.all([
    import(box.dataset.renderer),
    fetch(box.dataset.slides, { credentials: "same-origin" }),
  ]);
  if (!answer.ok) throw new Error(await answer.text());
  const viewer = await PptxViewer.open(await answer.arrayBuffer(), place, {
    zipLimits: RECOMMENDED_ZIP_LIMITS,
    pdfjs: false,
    scrollContainer: place,
    listOptions: { windowed: true, initialSlides: 4, batchSize: 4 },
  });
  const count = viewer.slideCount;
  note.textContent = `${count} slide${count === 1 ? "" : "s"}, drawn by your browser: fonts and effects may differ from PowerPoint's.`;
  box.dataset.drawn = String(count);
} catch (error) {
  console.warn("The slides could not be drawn.", error);
  place.replaceChildren();
  note.textContent = "These slides cannot be drawn here. Download the file to see it.";
  box.dataset.drawn = "0";
}
