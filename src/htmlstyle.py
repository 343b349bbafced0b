"""The style sheet that all pages of ours begin with (``htmlpage``).

The colours can be told apart by the colour-blind (after the palette of Okabe and Ito), and each
state but the plainest has a hatching as well (``svglanes``).
"""

STYLE = """
:root { --bg:#f6f7f9; --card:#fff; --ink:#1b2430; --soft:#5b6778; --line:#dde2e9;
 --stripe:#f3f5f8; --plate:rgba(255,255,255,.86); --hatch:rgba(0,0,0,.38);
 --online:#4fb89a; --handling:#f0b13c; --rule2:#7cc0ec; --disarmed:#d79fc0;
 --excluded:#d3cfa0; --starting:#c9d4e2;
 --frozen:#a9b4c4; --doomed:#e8895a; --down:#8d98a8; --death:#c23b12; --drop:#2b3a8f;
 --master:#b8860b; --fault:#c23b12; --repair:#177a5f; --request:#5b6778; }
@media (prefers-color-scheme: dark) { :root { --bg:#11161d; --card:#19202a; --ink:#e6ebf2;
 --soft:#98a5b6; --line:#2c3644; --stripe:#1d2530; --plate:rgba(17,22,29,.82);
 --hatch:rgba(0,0,0,.5); --online:#2f9f80; --handling:#d99a20; --rule2:#4a98cf;
 --disarmed:#b97aa0;
 --excluded:#8f8a55; --starting:#52627a; --frozen:#6c7a8f; --doomed:#cf6d3c; --down:#6c7889;
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
.s-doomed, .s-aborted { --c:var(--doomed); }
.s-down, .s-no-daemon, .s-nothing-recorded { --c:var(--down); }
.s-excluded { --c:var(--excluded); } .s-not-known { --c:var(--line); }
svg .fill { fill:var(--c); }
svg .s-no-daemon .fill, svg .s-nothing-recorded .fill { opacity:.45; }
svg .plate { fill:var(--plate); } svg .state { font-size:11px; }
svg .death circle { fill:var(--death); stroke:var(--card); stroke-width:1.5; }
svg .death path { stroke:var(--card); stroke-width:1.9; fill:none; stroke-linecap:round; }
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
.mono, code { font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;
 font-size:.88em; overflow-wrap:anywhere; }
.dot { display:inline-block; width:11px; height:11px; border-radius:3px; background:var(--c);
 margin-right:8px; }
.kind { font-size:12px; padding:1px 8px; border-radius:9px; border:1px solid var(--line);
 white-space:nowrap; color:var(--soft); }
.k-err .kind, .k-death .kind { background:var(--death); color:var(--card);
 border-color:var(--death); font-weight:700; }
.k-warning .kind { border-color:var(--handling); color:var(--ink); font-weight:600; }
.note, footer { color:var(--soft); font-size:13px; } footer { margin-top:34px; }
footer code { overflow-wrap:anywhere; }
@media print { .drawing svg { min-width:0; } body { background:#fff; } }
"""
