"use strict";
const number = (text) => Number.parseFloat(text.replace(/[~,]/g, ""));
for (const table of document.querySelectorAll("[data-sortable]")) {
  const headers = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const original = [...body.rows];
  const sort = (column, direction) => {
    const text = (row) => row.cells[column].textContent;
    const byName = (one, other) => text(one).localeCompare(text(other), undefined, { numeric: true });
    const byNumber = (one, other) => number(text(one)) - number(text(other));
    const compare = column === 0 ? byName : byNumber;
    const missing = column === 0 ? [] : original.filter((row) => Number.isNaN(number(text(row))));
    const present = original.filter((row) => !missing.includes(row));
    present.sort((one, other) => direction * compare(one, other));
    body.append(...present, ...missing);
  };
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const order = header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      headers.forEach((each) => each.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", order);
      sort(column, order === "ascending" ? 1 : -1);
    });
  });
}
