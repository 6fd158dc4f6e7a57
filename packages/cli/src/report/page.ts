/** A page of its own: nothing is loaded from anywhere, and nothing runs in it. */
import { type Content, Html, html } from "./html.ts";
import { STYLE } from "./style.ts";

/** Lets a browser load and run nothing, whatever names the page shows. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

export function page(title: string, body: Content): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="vmm">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`.text;
}

/** Figures to be seen first. */
export function tiles(entries: readonly (readonly [value: string, name: string])[]): Html {
  const tile = ([value, name]: readonly [string, string], i: number) =>
    html`<div class="tile${i === 0 && " main"}"><b>${value}</b><span>${name}</span></div>`;
  return html`<div class="tiles">${entries.map(tile)}</div>`;
}

/** Names and what there is to say of them; those of which there is nothing are left out. */
export function facts(entries: readonly (readonly [name: string, value: Content])[]): Html {
  const known = entries.filter(([, value]) => value !== undefined && value !== "");
  return html`<dl>${known.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}
