"""The style sheet of a report: two colour schemes, a phone, and paper. Knows no content.

Every text has a contrast of 4.5 to 1 at least on what is below it, every line of a chart 3 to 1,
but for the grid and the many trials that are no more than background.
"""

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--card:#f6f7f9;--ink:#1b2127;--quiet:#57606a;
--rule:#d5dae0;--grid:#e4e7eb;--a:#0a5fb0;--b:#b3480a;--c:#14735a;--faint:#7d8894;--best:#c2185b;
--good:#1f6fc0;--bad:#d05a14;--warn:#8a5a00}
@media (prefers-color-scheme:dark){:root{--paper:#11151a;--card:#1a2027;--ink:#e7ebef;
--quiet:#a4aeb9;--rule:#38414b;--grid:#262d35;--a:#6db3f7;--b:#f2a15f;--c:#5fcfae;--faint:#6c7783;
--best:#ff7eb0;--good:#2f7fd0;--bad:#c96a2b;--warn:#e5b567}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth;scroll-padding-top:1rem}
body{margin:0;background:var(--paper);color:var(--ink);overflow-wrap:anywhere;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
a{color:var(--a)}
.skip{position:absolute;left:-999px}.skip:focus{left:1rem;top:.5rem;background:var(--paper)}
.page{max-width:1240px;margin:0 auto;padding:0 1rem 3rem}
header{padding:1.6rem 0 .4rem;border-bottom:1px solid var(--rule)}
h1{font-size:2rem;line-height:1.15;margin:0;letter-spacing:-.02em}
h2{font-size:1.4rem;line-height:1.2;margin:0 0 .6rem;letter-spacing:-.01em}
h3{font-size:1rem;margin:0 0 .5rem}
p{margin:.3rem 0 .8rem;max-width:72ch}
header p{color:var(--quiet);margin:.35rem 0}
nav ul{list-style:none;margin:0;padding:.7rem 0;display:flex;flex-wrap:wrap;gap:.15rem .9rem}
nav a{text-decoration:none;font-size:.92rem;display:inline-block;padding:.15rem 0}
nav a:hover{text-decoration:underline}
section{padding:1.7rem 0 .6rem;border-bottom:1px solid var(--rule)}
section:last-of-type{border:0}
.lead{font-size:1.35rem;line-height:1.35;max-width:46ch;margin:.2rem 0 1.1rem}
.lead strong{white-space:normal}
.grid{display:grid;gap:1.1rem;grid-template-columns:repeat(auto-fill,minmax(min(100%,350px),1fr))}
.card{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:.9rem 1rem;
min-width:0}
.card ul,.card ol{margin:0;padding-left:1.2rem}.card li{margin:.3rem 0}
.next pre{margin:.3rem 0 .5rem}
pre{background:var(--paper);border:1px solid var(--rule);border-radius:5px;padding:.35rem .6rem;
overflow-x:auto;font-size:.86rem;max-width:100%;white-space:pre}
code{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.9em}
dl.pairs{margin:0 0 .8rem;max-width:72ch}
dl.pairs div{display:flex;gap:1rem;justify-content:space-between;border-top:1px solid var(--rule);
padding:.22rem 0}
dl.pairs div:first-child{border:0}
dt{color:var(--quiet);flex:none;max-width:60%}
dd{margin:0;text-align:right;font-variant-numeric:tabular-nums;min-width:0}
figure{margin:0 0 1rem;min-width:0}
.card figure{margin:0}
figcaption strong{display:block;line-height:1.3}
figcaption span{display:block;color:var(--quiet);font-size:.9rem;margin:.1rem 0 .5rem;
max-width:72ch}
svg{display:block;max-width:100%;height:auto;overflow:visible}
svg text{font:11.5px system-ui,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;
fill:var(--quiet);font-variant-numeric:tabular-nums}
svg .name{fill:var(--ink)}
svg .halo{paint-order:stroke;stroke:var(--paper);stroke-width:3.5px;stroke-linejoin:round}
path{fill:none}
path.grid{stroke:var(--grid);stroke-width:1}path.axis{stroke:var(--faint);stroke-width:1}
path[class^=line]{stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
path.line-a{stroke:var(--a)}path.line-b{stroke:var(--b)}path.line-c{stroke:var(--c)}
path.line-best{stroke:var(--best);stroke-width:2.6}
path.line-faint{stroke:var(--faint);stroke-width:1;opacity:.55}
path.line-guide{stroke:var(--quiet);stroke-width:1.2;stroke-dasharray:4 4}
path.thin{stroke-width:1.3}
path.line-faint:hover,path.thin:hover{opacity:1;stroke-width:3;stroke:var(--ink)}
.dot-a{fill:var(--a)}.dot-b{fill:var(--b)}.dot-c{fill:var(--c)}
.dot-a.light{fill-opacity:.6}
.dot-pruned{fill:var(--paper);stroke:var(--faint);stroke-width:1.5}
.dot-best{fill:var(--best);stroke:var(--paper);stroke-width:1.5}
.fill-a{fill:var(--a);fill-opacity:.75}.fill-right{fill:var(--good)}.fill-wrong{fill:var(--bad)}
.frame{fill:none;stroke:var(--faint)}
figure>svg{width:100%;max-width:430px}
.next{grid-column:1/-1}
.answer figure>svg{max-width:390px}
.width-340{display:none}.width-720{display:none}
@media (max-width:1239px){.width-1180{display:none}.width-720{display:block}}
@media (max-width:767px){.width-720{display:none}.width-340{display:block}}
@media (min-width:1150px){.answer{grid-template:"measured sure sure" "won next next"
"cost next next"/1fr 1fr 1fr}.measured{grid-area:measured}.sure{grid-area:sure}.won{grid-area:won}
.cost{grid-area:cost}.next{grid-area:next}}
.beside{display:flex;flex-wrap:wrap;gap:0 2.5rem;align-items:flex-start}.beside>*{min-width:0}
.halves{display:grid;gap:0 2.5rem;
grid-template-columns:repeat(auto-fit,minmax(min(100%,350px),1fr))}
.legend{list-style:none;margin:.2rem 0 .4rem;padding:0;display:flex;flex-wrap:wrap;
gap:.1rem 1rem;font-size:.9rem}
.legend li{display:flex;align-items:center;gap:.4rem;min-width:0}.legend svg{flex:none}
details{margin:.4rem 0}
summary{cursor:pointer;color:var(--a);font-size:.92rem;padding:.15rem 0}
.scroll{overflow-x:auto;max-width:100%;margin:.4rem 0 .9rem}
:focus-visible{outline:2px solid var(--a);outline-offset:2px}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--quiet);font-size:.9rem;padding:.2rem 0 .35rem}
th,td{text-align:left;padding:.24rem .7rem .24rem 0;border-top:1px solid var(--rule);
vertical-align:top;overflow-wrap:normal}
th{font-weight:600}tbody th{font-weight:400}
th.number,td.number{text-align:right}
table.matrix{border-collapse:separate;border-spacing:2px;font-size:.85rem}
.matrix th,.matrix td{border:0;padding:.3rem .3rem;text-align:center;min-width:1.55rem}
.matrix tbody th{text-align:right}
.cell.right{background:color-mix(in srgb,var(--good) var(--depth),var(--paper))}
.cell.wrong{background:color-mix(in srgb,var(--bad) var(--depth),var(--paper))}
.none{color:var(--quiet)}
.bars{max-width:720px}
.weight{display:grid;grid-template-columns:1fr auto;gap:0 1rem;margin:.45rem 0}
.weight .told{color:var(--quiet);font-variant-numeric:tabular-nums}.weight b{color:var(--ink)}
.track{grid-column:1/-1;position:relative;display:block;height:14px;background:var(--card);
border-radius:3px}
.bar{position:absolute;left:0;top:0;bottom:0;background:var(--a);border-radius:3px;min-width:2px}
.reach{position:absolute;top:6px;height:2px;background:var(--ink);box-shadow:0 0 0 1px var(--paper)}
.gallery{list-style:none;margin:0;padding:0;display:grid;gap:.8rem;
grid-template-columns:repeat(auto-fill,minmax(104px,1fr))}
.gallery li{background:var(--card);border:1px solid var(--rule);border-radius:6px;padding:.5rem}
.gallery img{width:100%;aspect-ratio:1;object-fit:contain;image-rendering:pixelated;display:block;
background:#000;border-radius:3px}
.gallery .words{display:block;font-size:.85rem;line-height:1.35;margin-top:.35rem}
.gallery .words>*{display:block}.gallery small{color:var(--quiet)}
.sheets th{text-align:right;color:var(--quiet);font-size:.8rem;line-height:1.05;
vertical-align:middle}
.sheets th,.sheets td{border:0;padding:1px .7rem 1px 0}.sheets img{display:block;max-width:none}
.roomy{display:block;min-width:17rem}
.note,footer{color:var(--quiet);font-size:.9rem}
.split{display:flex;height:14px;border-radius:3px;overflow:hidden;gap:2px;margin:.6rem 0 .2rem;
max-width:720px}
.part{background:var(--a)}.part.valid{background:var(--b)}.part.test{background:var(--c)}
.audit{padding-left:1.2rem}.error b{color:var(--best)}.warning b{color:var(--warn)}
@media print{:root{--paper:#fff;--card:#fff;--ink:#000;--quiet:#444;--rule:#bbb;--grid:#ddd;
--a:#0a5fb0;--b:#b3480a;--c:#14735a;--faint:#8f99a5;--best:#c2185b}
nav,.skip,summary{display:none}.page{padding:0}.grid{grid-template-columns:1fr 1fr}
figure,.card,.gallery li{break-inside:avoid}
section{break-inside:auto}h2,h3{break-after:avoid}body{font-size:11pt}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
"""
