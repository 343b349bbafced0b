"""What the page of an outcome (``simpage``) adds to the style of all pages, and its script."""

STYLE = """
thead th:nth-child(n+5), .moments thead th:first-child { text-align:right; }
svg .deed path { stroke:var(--k); stroke-width:1.4; stroke-dasharray:4 3; fill:none; }
svg .deed circle { fill:var(--k); }
svg .deed .number { fill:var(--card); font-weight:700; font-size:10px; }
svg .deed .said { font-weight:600; paint-order:stroke; stroke:var(--card); stroke-width:4px; }
.fault, .leave { --k:var(--fault); } .repair { --k:var(--repair); }
.request { --k:var(--request); }
svg .drop path { fill:var(--drop); stroke:var(--card); stroke-width:1.2; }
svg .outage path { stroke:var(--drop); stroke-width:1.3; fill:none; }
svg .outage-text { fill:var(--drop); font-weight:600; paint-order:stroke;
 stroke:var(--card); stroke-width:3px; }
svg .master rect { fill:var(--master); }
svg .star { fill:var(--master); stroke:var(--card); stroke-width:1; }
svg .cursor { display:none; } svg .cursor path { stroke:var(--ink); opacity:.5; }
svg .cursor text { text-anchor:middle; font-weight:700; }
.fates .strong { font-weight:700; } .dies td:nth-child(4) { color:var(--death); }
.moments td:nth-child(2) { max-width:15em; }
.moments code { color:var(--soft); margin-left:6px; white-space:nowrap; }
.done td { font-weight:700; background:var(--stripe); }
.end td { color:var(--soft); background:var(--stripe); }
.ball { display:inline-block; min-width:20px; text-align:center; border-radius:10px;
 background:var(--ink); color:var(--card); font-size:12px; padding:0 5px; }
"""

SCRIPT = """
(function () {
  var svg = document.querySelector(".drawing svg"), cursor = svg.querySelector(".cursor");
  var left = +svg.dataset.left, right = +svg.dataset.right, ms = +svg.dataset.ms;
  svg.addEventListener("mousemove", function (event) {
    var box = svg.getBoundingClientRect();
    var x = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
    var inside = x >= left && x <= right;
    cursor.style.display = inside ? "inline" : "none";
    if (!inside) { return; }
    cursor.setAttribute("transform", "translate(" + x + ",0)");
    cursor.querySelector("text").textContent =
      ((x - left) / (right - left) * ms / 1000).toFixed(1) + " s";
  });
  svg.addEventListener("mouseleave", function () { cursor.style.display = "none"; });
})();
"""
