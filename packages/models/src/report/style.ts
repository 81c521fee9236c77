/** The report's style sheet: one column, one accent per model, light and dark. */
export const style: string = `
:root {
  color-scheme: light dark;
  --paper: #fdfdfb; --ink: #1d1f24; --quiet: #63676f; --line: #e3e3dd; --fill: #f1f1ec;
  --accent-1: #2563a8; --accent-2: #c2570c; --accent-3: #2c7a51;
  --accent-4: #7d46a8; --accent-5: #b02a48; --accent-6: #6b6a12;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15171b; --ink: #e4e5e8; --quiet: #9a9ea8; --line: #2d3037; --fill: #22252b;
    --accent-1: #6fb1f5; --accent-2: #f29a58; --accent-3: #66c394;
    --accent-4: #c39bee; --accent-5: #f07c93; --accent-6: #c5c255;
  }
}
* { box-sizing: border-box; margin: 0; }
body {
  max-width: 54rem; margin: 0 auto; padding: clamp(1.25rem, 5vw, 4rem) clamp(1rem, 4vw, 2rem) 5rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%;
}
h1 {
  font-size: clamp(1.6rem, 5vw, 2.2rem); line-height: 1.2; font-weight: 650; letter-spacing: -0.02em;
  text-wrap: balance;
}
h2 { margin: 3.5rem 0 1.25rem; font-size: 1.15rem; font-weight: 650; letter-spacing: -0.005em; }
h3 { font-size: 1rem; font-weight: 600; }
p { max-width: 42rem; } p + p { margin-top: 0.75rem; }
i { font-style: normal; }
.origin {
  margin-top: 0.6rem; color: var(--quiet); font-size: 0.9rem; display: flex; flex-wrap: wrap;
  gap: 0.35rem 1rem; align-items: baseline;
}
code {
  font: 0.92em ui-monospace, "SF Mono", Menlo, Consolas, monospace; background: var(--fill);
  padding: 0.15em 0.45em; border-radius: 0.3em; overflow-wrap: anywhere;
}
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
th, td {
  padding: 0.5rem 1.1rem 0.5rem 0; text-align: left; font-weight: 400; vertical-align: top;
  white-space: nowrap;
}
tr > :last-child { padding-right: 0; }
.number { text-align: right; }
thead th { color: var(--quiet); font-size: 0.82rem; padding-bottom: 0.3rem; border-bottom: 1px solid var(--line); }
.task { padding-top: 1.4rem; font-weight: 600; }
tbody tr + tr { border-top: 1px solid var(--line); }
tbody tr:nth-child(2) { border-top: 0; }
.dot {
  display: inline-block; width: 0.6em; height: 0.6em; margin-right: 0.55em; border-radius: 50%;
  background: var(--hue);
}
.accuracy { width: 45%; min-width: 10.5rem; }
strong { font-weight: 650; }
small { color: var(--quiet); font-size: 0.82rem; }
.bar {
  position: relative; display: block; height: 0.3rem; margin-top: 0.35rem; border-radius: 0.15rem;
  background: var(--fill);
}
.bar i:first-child { display: block; height: 100%; border-radius: inherit; background: var(--hue); }
.bound { position: absolute; top: -0.2rem; bottom: -0.2rem; width: 2px; margin-left: -1px; background: var(--ink); }
.curves + .curves { margin-top: 2.25rem; }
figcaption { display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; align-items: baseline; margin-bottom: 0.75rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0.25rem 1.1rem; padding: 0; list-style: none; font-size: 0.9rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1rem 2rem; }
.chart svg { display: block; width: 100%; height: auto; color: var(--quiet); font-family: inherit; }
details { margin-top: 0.75rem; }
summary { color: var(--quiet); font-size: 0.9rem; cursor: pointer; width: fit-content; }
details table { width: auto; margin-top: 0.5rem; } details tbody tr:nth-child(2) { border-top: 1px solid var(--line); }
.attention { padding-bottom: 2rem; } .attention + .attention { border-top: 1px solid var(--line); padding-top: 2rem; }
.panels {
  display: grid; grid-template-columns: repeat(6, 1fr); gap: 1.1rem clamp(0.7rem, 2.5vw, 1.5rem);
  font-size: 0.82rem; line-height: 1.35;
}
.small { grid-column: span 2; } .large { grid-column: span 3; }
.picture { display: block; width: 100%; border-radius: 3px; overflow: hidden; }
.picture image { image-rendering: pixelated; } .large .picture image { image-rendering: auto; }
.frame { fill: none; stroke: #4fd1ff; stroke-width: 2px; vector-effect: non-scaling-stroke; }
.large .frame { stroke-width: 1px; stroke-opacity: 0.75; }
.name { display: block; margin: 0.45rem 0 0.25rem; color: var(--quiet); }
.colour-bar { display: flex; align-items: center; gap: 0.5em; color: var(--quiet); }
.colour-bar img { flex: 1; min-width: 0; max-width: 10rem; height: 0.45rem; border-radius: 2px; }
@media print { body { padding: 0; } section { break-inside: avoid; } }
`;
