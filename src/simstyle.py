"""The style sheet and the script of the page of an outcome (``simpage``).

The colours can be told apart by the colour-blind (after the palette of Okabe and Ito), and each
state but the two plainest has a hatching as well.
"""

STYLE = """
:root { --bg:#f6f7f9; --card:#fff; --ink:#1b2430; --soft:#5b6778; --line:#dde2e9;
 --stripe:#f3f5f8; --plate:rgba(255,255,255,.86); --hatch:rgba(0,0,0,.38);
 --online:#4fb89a; --handling:#f0b13c; --rule2:#7cc0ec; --disarmed:#d79fc0; --starting:#c9d4e2;
 --frozen:#a9b4c4; --doomed:#e8895a; --down:#8d98a8; --death:#c23b12; --drop:#2b3a8f;
 --master:#b8860b; --fault:#c23b12; --repair:#177a5f; --request:#5b6778; }
@media (prefers-color-scheme: dark) { :root { --bg:#11161d; --card:#19202a; --ink:#e6ebf2;
 --soft:#98a5b6; --line:#2c3644; --stripe:#1d2530; --plate:rgba(17,22,29,.82);
 --hatch:rgba(0,0,0,.5); --online:#2f9f80; --handling:#d99a20; --rule2:#4a98cf;
 --disarmed:#b97aa0; --starting:#52627a; --frozen:#6c7a8f; --doomed:#cf6d3c; --down:#6c7889;
 --death:#ff7b4f; --drop:#9fb0ff; --master:#f0c040; --fault:#ff7b4f; --repair:#4fd0a8;
 --request:#98a5b6; } }
* { box-sizing:border-box; }
body { margin:0; background:var(--bg); color:var(--ink);
 font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif; }
main { max-width:1200px; margin:0 auto; padding:28px 24px 40px; }
h1 { font-size:15px; margin:0; color:var(--soft); font-weight:600; letter-spacing:.02em; }
h2 { font-size:17px; margin:34px 0 10px; }
.sum { font-size:22px; line-height:1.38; margin:8px 0 18px; max-width:60em; font-weight:500;
 text-wrap:pretty; }
.sum.bad { border-left:6px solid var(--death); padding-left:14px; color:var(--death); }
.chips { display:flex; flex-wrap:wrap; gap:8px 28px; margin:0 0 20px; }
.chips dt { color:var(--soft); font-size:12px; } .chips dd { margin:0; font-weight:600; }
.drawing { background:var(--card); border:1px solid var(--line); border-radius:10px;
 padding:16px 12px 6px; overflow-x:auto; }
.drawing svg { display:block; width:100%; min-width:860px; height:auto; }
svg text { font-size:11.5px; fill:var(--ink); }
svg .tick { fill:var(--soft); font-variant-numeric:tabular-nums; font-size:11px;
 paint-order:stroke; stroke:var(--card); stroke-width:4px; }
svg .grid { stroke:var(--line); stroke-width:1; fill:none; }
svg .stripe { fill:var(--stripe); }
svg .letter { font-weight:700; font-size:14px; }
svg .address { fill:var(--soft); font-size:11px; }
svg .small .letter, svg .small .address { font-size:10px; }
.pattern path { stroke:var(--hatch); stroke-width:1.2; fill:none; }
.pattern circle { fill:var(--hatch); }
.s-online { --c:var(--online); } .s-fault-handling { --c:var(--handling); }
.s-rule-2 { --c:var(--rule2); } .s-disarmed { --c:var(--disarmed); }
.s-starting { --c:var(--starting); } .s-frozen { --c:var(--frozen); }
.s-doomed { --c:var(--doomed); } .s-down, .s-no-daemon { --c:var(--down); }
svg .fill { fill:var(--c); }
svg .s-no-daemon .fill { opacity:.45; }
svg .plate { fill:var(--plate); } svg .state { font-size:11px; }
svg .deed path { stroke:var(--k); stroke-width:1.4; stroke-dasharray:4 3; fill:none; }
svg .deed circle { fill:var(--k); }
svg .deed .number { fill:var(--card); font-weight:700; font-size:10px; }
svg .deed .said { font-weight:600; paint-order:stroke; stroke:var(--card); stroke-width:4px; }
.fault, .leave { --k:var(--fault); } .repair { --k:var(--repair); }
.request { --k:var(--request); }
svg .death circle { fill:var(--death); stroke:var(--card); stroke-width:1.5; }
svg .death path { stroke:var(--card); stroke-width:1.9; fill:none; stroke-linecap:round; }
svg .drop path { fill:var(--drop); stroke:var(--card); stroke-width:1.2; }
svg .outage path { stroke:var(--drop); stroke-width:1.3; fill:none; }
svg .outage-text { fill:var(--drop); font-weight:600; paint-order:stroke;
 stroke:var(--card); stroke-width:3px; }
svg .master rect { fill:var(--master); }
svg .star { fill:var(--master); stroke:var(--card); stroke-width:1; }
svg .cursor { display:none; } svg .cursor path { stroke:var(--ink); opacity:.5; }
svg .cursor text { text-anchor:middle; font-weight:700; }
.legend { list-style:none; display:grid; gap:4px 26px; padding:0; margin:14px 2px;
 grid-template-columns:repeat(auto-fill,minmax(330px,1fr)); font-size:13px; color:var(--soft); }
.legend li { display:flex; gap:10px; align-items:flex-start; }
.legend svg { flex:none; margin-top:2px; } .legend b { color:var(--ink); }
.scroll { overflow-x:auto; background:var(--card); border:1px solid var(--line);
 border-radius:10px; }
table { border-collapse:collapse; width:100%; font-size:14px; }
th, td { text-align:left; padding:7px 12px; vertical-align:top; }
thead th { color:var(--soft); font-weight:600; font-size:12.5px; white-space:nowrap; }
tbody tr { border-top:1px solid var(--line); }
.n { text-align:right; white-space:nowrap; font-variant-numeric:tabular-nums; }
thead th:nth-child(n+5), .moments thead th:first-child { text-align:right; }
.mono, code { font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;
 font-size:.88em; overflow-wrap:anywhere; }
.fates .strong { font-weight:700; } .dies td:nth-child(4) { color:var(--death); }
.dot { display:inline-block; width:11px; height:11px; border-radius:3px; background:var(--c);
 margin-right:8px; }
.moments td:nth-child(2) { max-width:15em; }
.moments code { color:var(--soft); margin-left:6px; white-space:nowrap; }
.kind { font-size:12px; padding:1px 8px; border-radius:9px; border:1px solid var(--line);
 white-space:nowrap; color:var(--soft); }
.k-err .kind, .k-death .kind { background:var(--death); color:var(--card);
 border-color:var(--death); font-weight:700; }
.k-warning .kind { border-color:var(--handling); color:var(--ink); font-weight:600; }
.done td { font-weight:700; background:var(--stripe); }
.end td { color:var(--soft); background:var(--stripe); }
.ball { display:inline-block; min-width:20px; text-align:center; border-radius:10px;
 background:var(--ink); color:var(--card); font-size:12px; padding:0 5px; }
.note, footer { color:var(--soft); font-size:13px; } footer { margin-top:34px; }
footer code { overflow-wrap:anywhere; }
@media print { .drawing svg { min-width:0; } body { background:#fff; } }
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
