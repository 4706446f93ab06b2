"""How the page looks: on a wide screen, on a phone, in the dark, and on paper."""

STYLE = """
:root { color-scheme: light dark; --ground: #fdfdfc; --panel: #f3f4f5; --text: #20262d; --soft: #5b6570;
  --line: #d9dde2; --accent: #0067a3; --good: #00694d; --bad: #a83e00; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --panel: #1d2126; --text: #e4e7ea;
  --soft: #9aa4af; --line: #353c44; --accent: #6cb8ea; --good: #4fc79f; --bad: #f08a4b; }
  .ink { filter: invert(1) hue-rotate(180deg); } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
nav ul { list-style: none; margin: 0; padding: .6rem 1.25rem; display: flex; gap: .35rem 1.1rem; flex-wrap:
  wrap; }
nav { position: sticky; top: 0; z-index: 2; background: var(--ground); border-bottom: 1px solid var(--line);
  font-size: .875rem; }
nav ul { max-width: 66rem; margin: 0 auto; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .8rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 3rem 0 .9rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 2rem 0 .6rem; }
section { scroll-margin-top: 3rem; }
.brand { margin: 1.6rem 0 .1rem; color: var(--soft); letter-spacing: .04em; }
.summary { font-size: 1.08rem; max-width: 46rem; }
p, dl, ul { max-width: 46rem; } ul { padding-left: 1.2rem; } li { margin: .25rem 0; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem; }
small { color: var(--soft); font-size: .8rem; }
.steps { list-style: none; padding: 0; margin: 0; display: grid; grid-template-columns: repeat(5, 1fr);
  gap: 1.5rem; max-width: none; }
.steps li { position: relative; background: var(--panel); border-radius: .5rem; padding: .7rem .8rem;
  margin: 0;
  min-width: 0; }
.steps li + li::before { content: "\\2192"; position: absolute; left: -1.5rem; width: 1.5rem; top: 50%;
  transform: translateY(-50%); text-align: center; color: var(--soft); }
.steps span, .steps b, .steps small { display: block; }
.steps .step { color: var(--soft); font-size: .875rem; } .steps b { font-size: 1.15rem; line-height: 1.4; }
.steps small { line-height: 1.35; }
.steps .todo { background: none; outline: 1px dashed var(--line); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap:
  1.4rem 2rem;
  margin: 1.2rem 0; align-items: start; }
.figures figure { margin: 0; max-width: 31rem; } .figures img { display: block; width: 100%; height: auto; }
figcaption { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .875rem; line-height: 1.4; font-variant-numeric: tabular-nums; }
.caption { color: var(--soft); font-size: .875rem; margin: 1.4rem 0 0; }
.caption + .scroll { margin-top: .5rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem 1.1rem .3rem 0; border-bottom: 1px solid
  var(--line); }
th { font-weight: 600; } thead th { color: var(--soft); vertical-align: bottom; }
td { overflow-wrap: break-word; max-width: 28rem; } td code { font-size: .75rem; overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; } .number:last-child { padding-right: 0; }
.accuracy { width: 100%; max-width: 58rem; } .accuracy td:first-child { min-width: 11rem; }
.group th { padding-top: 1.1rem; }
.accuracy small { display: inline-block; min-width: 5.6rem; } .accuracy b { font-weight: 600; }
.accuracy .median { display: block; } .accuracy .kind { display: block; }
.worst { max-width: 62rem; } .worst td:first-child { min-width: 0; }
.worst td:last-child { min-width: 15rem; }
.worst td:last-child, .worst thead th:last-child { padding-left: 1rem; } .any td { font-weight: 600; }
.any td:first-child { white-space: nowrap; } td .error { max-width: 22rem; }
.bar { display: block; height: 3px; background: var(--line); margin-top: 3px; border-radius: 2px;
  overflow: hidden; }
.bar span { display: block; height: 100%; }
.chip { display: inline-block; width: .7rem; height: .7rem; border-radius: 2px; margin-right: .5rem; }
.error { display: block; color: var(--bad); font-size: .8rem; white-space: normal; }
.missing { background: var(--panel); border-left: 3px solid var(--soft); padding: .6rem .9rem; }
.warning { background: var(--panel); border-left: 3px solid var(--bad); padding: .6rem .9rem .6rem 2rem; }
.alarm { background: var(--panel); border-left: 3px solid var(--bad); padding: .6rem .9rem; }
.flags { list-style: none; padding: 0; } .flags p { margin: .15rem 0; }
.flags li { border-left: 3px solid var(--soft); padding: .1rem 0 .1rem .9rem; margin: .9rem 0; }
.flags .failed, .flags .error { border-color: var(--bad); font-size: inherit; color: inherit; }
.flag-failed, .flag-error { color: var(--bad); } .place { color: var(--soft); }
details { margin: .7rem 0; } summary { cursor: pointer; font-weight: 600; padding: .2rem 0; }
summary:hover { color: var(--accent); } :focus-visible { outline: 2px solid var(--accent);
  outline-offset: 2px; }
pre { background: var(--panel); padding: .7rem .9rem; border-radius: .4rem; white-space: pre-wrap;
  overflow-wrap: anywhere; } code { font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace;
  font-size: .85em; }
.strip { margin: .4rem 0 1.4rem; }
.row { display: grid; grid-template-columns: 9.5rem repeat(8, minmax(0, 4.6rem)); gap: .35rem .5rem;
  align-items: center; margin-bottom: .5rem; }
.row .title { font-size: .85rem; line-height: 1.3; color: var(--soft); } .row figure { margin: 0; }
.row figcaption { text-align: center; font-size: .8rem; line-height: 1.3; white-space: nowrap; }
.pixels { display: block; width: 100%; image-rendering: pixelated; border-radius: 2px; }
.right { color: var(--good); } .wrong { color: var(--bad); font-weight: 600; }
@media (max-width: 46rem) {
  body { font-size: 15px; } main { padding: .5rem 1rem 3rem; }
  nav { position: static; } nav ul { padding: .6rem 1rem; }
  .steps { grid-template-columns: 1fr; gap: 1.4rem; }
  .steps li { display: grid; grid-template-columns: 5.5rem 1fr; column-gap: .8rem; align-items: baseline; }
  .steps small { grid-column: 2; }
  .steps li + li::before { content: "\\2193"; left: 0; width: 100%; top: -.72rem; }
  .row { grid-template-columns: repeat(8, minmax(0, 1fr)); gap: .2rem .25rem; }
  .row .title { grid-column: 1 / -1; margin-top: .3rem; } .row figcaption { font-size: .68rem; }
  th, td { padding-right: .7rem; }
  .scroll td { white-space: nowrap; } .true { display: none; }
  .accuracy td:not(.number), .changes td:not(.number) { white-space: normal; }
  .accuracy small { display: block; min-width: 0; }
}
@media print {
  :root { --ground: #fff; --panel: #f3f4f5; --text: #000; --soft: #444; --line: #bbb; --accent: #000;
    --good: #00513b; --bad: #8a3300; }
  body { font-size: 10pt; } nav { display: none; } .ink { filter: none; } main { max-width: none; padding:
  0; }
  figure, tr, .row, .steps { break-inside: avoid; } h2 { break-after: avoid; }
  .scroll { overflow: visible; } .figures { grid-template-columns: 1fr 1fr; } a { color: inherit; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

SCRIPT = """
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(part => {
  part.dataset.open = part.open ? "1" : ""; part.open = true; }));
addEventListener("afterprint", () => document.querySelectorAll("details").forEach(part => {
  part.open = part.dataset.open === "1"; }));
"""
"""Folded parts are printed too."""
