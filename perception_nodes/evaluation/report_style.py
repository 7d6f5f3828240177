# SPDX-License-Identifier: Apache-2.0
"""How a report looks: one style sheet, system fonts, light or dark as the reader has it."""

__all__ = ['CSS']

CSS = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #16202c; --soft: #5d6b7a; --line: #dfe4ea;
  --ours: #2563eb; --bar: #dbe6fb; --baseline: #e8ebef; --best: #0a7f53;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10151b; --card: #182029; --ink: #e6ebf1; --soft: #93a1b1; --line: #2b3641;
    --ours: #6ea2ff; --bar: #24406f; --baseline: #2b3641; --best: #4cd6a0;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif;
}
main { max-width: 1180px; margin: 0 auto; padding: 40px 24px 72px; }
header h1 { font-size: 30px; line-height: 1.2; letter-spacing: -.02em; margin: 0 0 6px; }
header p { color: var(--soft); margin: 0; max-width: 75ch; }
nav { margin: 18px 0 0; display: flex; flex-wrap: wrap; gap: 6px 8px; }
nav a {
  color: var(--soft); text-decoration: none; font-size: 13px; padding: 3px 11px;
  border: 1px solid var(--line); border-radius: 99px; background: var(--card);
}
nav a:hover { color: var(--ours); border-color: var(--ours); }
.figures {
  display: grid; gap: 12px; margin: 24px 0 0;
  grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
}
.figures div {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px;
}
.figures b {
  display: block; font-size: 25px; line-height: 1.25; font-weight: 650; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums;
}
.figures span { color: var(--soft); font-size: 13px; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 22px 24px 24px; margin: 22px 0 0;
}
section h2 { font-size: 19px; letter-spacing: -.01em; margin: 0 0 4px; }
section > p { color: var(--soft); margin: 0 0 6px; max-width: 80ch; }
.tables { column-width: 330px; column-gap: 34px; }
.scroll { overflow-x: auto; padding: 14px 0 0; break-inside: avoid; }
.scroll:only-child { column-span: all; }
.scroll:only-child table { min-width: 50%; }
table { border-collapse: collapse; min-width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); font-size: 13px; padding-bottom: 6px; }
th, td { padding: 6px 14px 6px 0; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
thead th { color: var(--soft); font-weight: 600; font-size: 13px; }
thead th { border-bottom: 1px solid var(--line); }
tbody tr + tr td { border-top: 1px solid var(--line); }
td.best { color: var(--best); font-weight: 650; }
.bars { margin: 14px 0 0; display: grid; gap: 7px 14px; align-items: center;
  grid-template-columns: max-content minmax(120px, 1fr) max-content; max-width: 860px; }
.bars h3 { grid-column: 1 / -1; font-size: 13px; font-weight: 600; margin: 0; }
.bars h3 { color: var(--soft); }
.bars i { display: block; height: 15px; border-radius: 4px; }
.bars i { background: var(--soft); opacity: .45; }
.bars i.ours { background: var(--ours); opacity: 1; }
.bars em { font-style: normal; font-variant-numeric: tabular-nums; }
.images {
  display: grid; gap: 14px; margin: 16px 0 0;
  grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr));
}
.images.one { grid-template-columns: minmax(0, 1fr); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 12px 0 0; font-size: 13px; }
.legend span { color: var(--soft); }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; }
.legend i { margin-right: 6px; vertical-align: -1px; }
figure { margin: 0; min-width: 0; }
figure img { display: block; width: 100%; height: auto; border-radius: 8px; }
figcaption { color: var(--soft); font-size: 13px; line-height: 1.4; margin-top: 5px; }
.plots { display: flex; flex-wrap: wrap; gap: 18px; margin: 16px 0 0; }
.plots figure { flex: 1 1 440px; max-width: 560px; }
.plots figure.wide { flex-basis: 100%; max-width: 100%; }
.plots svg { display: block; width: 100%; height: auto; color: var(--ink); }
details { margin: 14px 0 0; }
summary { cursor: pointer; color: var(--soft); }
pre { overflow-x: auto; font: 13px/1.5 ui-monospace, 'SF Mono', Menlo, Consolas, monospace; }
footer { color: var(--soft); font-size: 13px; margin: 26px 2px 0; }
@media print { body { background: none; } section { break-inside: avoid; } nav { display: none; } }
"""
