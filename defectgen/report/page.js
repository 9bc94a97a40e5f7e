/* Tables are sorted by their headings: click, Enter or space; ascending, descending, as computed. Missing numbers come last. */
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  if (rows.length < 2) continue;
  heads.forEach((cell, column) => {
    const head = cell.querySelector(".head"), numbers = cell.classList.contains("quantity");
    head.tabIndex = 0;
    head.setAttribute("role", "button");
    const key = row => numbers ? row.cells[column].dataset.value : row.cells[column].textContent.trim();
    const missing = value => value === undefined || value === "";
    const sort = () => {
      const after = {ascending: "descending", descending: ""}, was = cell.getAttribute("aria-sort");
      const order = was in after ? after[was] : "ascending", sign = order === "descending" ? -1 : 1;
      heads.forEach(other => other.removeAttribute("aria-sort"));
      if (order) cell.setAttribute("aria-sort", order);
      body.append(...(order ? [...rows].sort((one, other) => {
        const a = key(one), b = key(other);
        if (missing(a) || missing(b)) return missing(a) - missing(b);
        return sign * (numbers ? a - b : a.localeCompare(b, "en", {numeric: true}));
      }) : rows));
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", event => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sort();
    });
  });
}
