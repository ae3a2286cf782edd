/// The page's look. Pictures take the page's text colour, so they can be read in light, in dark and on paper.
let stylesheet: Markup = """

  :root { color-scheme: light dark; --paper: #fff; --ink: #1c2024; --quiet: #5d666f; --line: #d9dee3; --tint: #f5f7f9;
    --link: #0b62a4; --warn: #fff5e0; --bar: #c9dff2; }
  @media (prefers-color-scheme: dark) {
    :root { --paper: #15181b; --ink: #e4e7ea; --quiet: #9aa4ad; --line: #343a40; --tint: #1d2125; --link: #6cb6f0;
      --warn: #3a2f15; --bar: #24445f; }
  }
  * { box-sizing: border-box; }
  body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
    font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
  h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1rem; overflow-wrap: anywhere; }
  h2 { font-size: 1.3rem; line-height: 1.3; margin: 0 0 .6rem; }
  section { margin-top: 2.75rem; padding-top: 1.5rem; border-top: 1px solid var(--line); }
  p { margin: 0 0 .7rem; max-width: 50rem; overflow-wrap: anywhere; }
  sub { line-height: 0; }
  a { color: var(--link); }
  code { font: .88em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
  .summary { border-left: 4px solid var(--link); background: var(--tint); padding: .9rem 1.1rem .3rem; font-size: 1.05rem; }
  .summary p { max-width: none; }
  .summary ul { margin: 0 0 .7rem; padding-left: 1.2rem; } .summary li { margin: .2rem 0; }
  .note, figcaption, footer { color: var(--quiet); font-size: .875rem; }
  .gap { background: var(--warn); padding: .6rem .9rem; border-radius: 4px; }
  nav { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin-top: 1rem; font-size: .92rem; }
  figure { margin: 1.1rem 0 1rem; }
  .picture { overflow-x: auto; }
  .picture svg { display: block; width: 100%; min-width: 42rem; height: auto; }
  .picture svg rect { stroke: none; }
  .picture svg text { fill: currentColor; stroke: none; font-family: sans-serif; }
  .picture svg [stroke="black"], .picture svg [stroke="rgb(0,0,0)"] { stroke: currentColor; }
  .picture svg [color="rgb(0,0,0)"] { color: inherit; }
  figcaption { max-width: 50rem; margin-top: .3rem; }
  .sources { white-space: nowrap; }
  details { margin: .4rem 0; }
  details > summary { cursor: pointer; color: var(--link); width: fit-content; }
  .scroll { overflow-x: auto; margin: .6rem 0; }
  table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
  caption { text-align: left; font-weight: 600; padding: .3rem 0; }
  th, td { padding: .22rem .75rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
  th:first-child, td:first-child { padding-left: 0; }
  thead th { color: var(--quiet); font-weight: 600; vertical-align: bottom; }
  .groups th { text-align: center; border-bottom: 0; padding-bottom: 0; }
  .facts th, .facts td { text-align: left; white-space: normal; vertical-align: top; }
  .facts tbody th { font-weight: 400; color: var(--quiet); white-space: nowrap; }
  .facts thead th { color: var(--ink); }
  .facts td { min-width: 9rem; overflow-wrap: anywhere; }
  .wide { width: fit-content; max-width: min(94vw, 86rem); position: relative; left: 50%; transform: translateX(-50%); }
  .card { font-size: .72rem; } .card th, .card td { padding: .1rem .35rem; }
  .card thead th { white-space: normal; min-width: 3.2rem; }
  .card th:first-child { position: sticky; left: 0; background: var(--paper); }
  .card td { --from: 0%; --to: 0%; print-color-adjust: exact; -webkit-print-color-adjust: exact; background:
    linear-gradient(90deg, transparent var(--from), var(--bar) var(--from) var(--to), transparent var(--to)); }
  .card .stage th, .card .stage td { border-top: 1px solid var(--quiet); }
  .verdict { display: inline-block; padding: 0 .5em; border-radius: 3px; font-size: .85em; font-weight: 600; border: 1px solid; white-space: nowrap; }
  .verdict.yes { color: #0a7a5c; } .verdict.partly { color: #9a6700; } .verdict.no { color: #b3401f; } .verdict.unknown { color: var(--quiet); }
  @media (prefers-color-scheme: dark) { .verdict.yes { color: #3fd0a4; } .verdict.partly { color: #e3b341; } .verdict.no { color: #ff8c69; } }
  .finding { margin: 1.2rem 0; }
  .claims { padding-left: 0; list-style: none; } .claims li { margin: .25rem 0; max-width: 50rem; }
  .thumbs { display: flex; flex-wrap: wrap; gap: 1rem; }
  .thumbs a { flex: 1 1 44rem; max-width: 60rem; } .thumb { width: 100%; height: auto; background: #fff; border: 1px solid var(--line); border-radius: 4px; }
  @media screen and (prefers-color-scheme: dark) { .thumb { filter: invert(.9) hue-rotate(180deg); } }
  footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); }
  @media print {
    body { max-width: none; padding: 0; font-size: 10pt; }
    nav, details, .sources { display: none; }
    section { break-inside: avoid; margin-top: 1.2rem; padding-top: .8rem; }
    .picture, .scroll { overflow: visible; }
    .wide { max-width: none; left: 0; transform: none; } .card { font-size: 5.5pt; } .card thead th { min-width: 0; }
    table { font-size: 8pt; }
    th, td { padding: .15rem .35rem; }
    .picture svg { min-width: 0; }
  }

  """
