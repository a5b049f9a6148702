"use strict";
for (const samples of document.querySelectorAll("[data-samples]")) {
  const steps = [...samples.querySelectorAll(".strip img")];
  const shown = samples.querySelector(".generated img");
  const caption = samples.querySelector(".generated .step");
  const control = samples.querySelector(".slider");
  const slider = samples.querySelector("input");
  if (!slider) continue;
  const show = () => {
    const step = steps[slider.valueAsNumber];
    shown.src = step.src;
    shown.alt = step.alt;
    caption.textContent = step.dataset.caption;
    slider.setAttribute("aria-valuetext", step.dataset.caption);
    steps.forEach((each) => each.classList.toggle("current", each === step));
    const strip = step.closest("ol");
    strip.scrollLeft = step.parentElement.offsetLeft - (strip.clientWidth - step.clientWidth) / 2;
  };
  slider.addEventListener("input", show);
  steps.forEach((step, position) =>
    step.addEventListener("click", () => {
      slider.valueAsNumber = position;
      show();
    }),
  );
  control.hidden = false;
  show();
}
