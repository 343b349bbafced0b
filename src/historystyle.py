"""What the page of a history (``historypage``) adds to the style sheet of all pages."""

STYLE = """
svg .date { font-weight:600; fill:var(--ink); }
svg .graph-name { fill:var(--soft); font-size:9.5px; }
svg .base { stroke:var(--line); stroke-width:1; fill:none; }
svg .g-hb path { fill:var(--rule2); } svg .g-sf path { fill:var(--disarmed); }
svg .g-hb .late, svg .g-sf .late { fill:var(--death); }
svg .limit { fill:none; stroke-width:1; }
svg .whole { stroke:var(--death); opacity:.75; }
svg .half { stroke:var(--soft); stroke-dasharray:3 3; opacity:.8; }
svg .m-tick path { stroke:var(--soft); stroke-width:1.2; }
svg .m-begin path { fill:var(--repair); }
svg .m-boot path { fill:var(--drop); stroke:var(--drop); stroke-width:1.4; }
svg .m-odd path { fill:var(--master); }
svg .m-warning path { fill:var(--handling); stroke:var(--ink); stroke-width:.6; }
svg .cut rect { fill:var(--card); stroke:var(--line); stroke-dasharray:2 3; }
svg .cut-text { fill:var(--soft); font-size:10px; }
svg .band rect { fill:var(--ink); opacity:.07; }
svg .band-text { font-weight:700; font-size:11px; }
.happened tr { border-top:1px solid var(--line); }
.happened td:nth-child(2) { font-weight:600; }
.happened code { color:var(--soft); margin-left:6px; white-space:nowrap; }
.happened td { padding:4px 12px; overflow-wrap:anywhere; }
.happened td:nth-child(-n+3) { overflow-wrap:normal; white-space:nowrap; }
.happened .day td { font-weight:700; background:var(--stripe); }
.recorders td { white-space:nowrap; } .recorders thead th:nth-child(n+7) { text-align:right; }
"""
