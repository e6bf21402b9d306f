/*
 * The frame and the style of pages.
 *
 * SPDX-License-Identifier: MIT
 */
#include "report/page.h"

#include "report/report.h"

/* Text and marks have a contrast of at least 5 to page and band in both schemes. */
static const char style[] =
    ":root { color-scheme: light dark; --ground: #fff; --text: #1b1b1b; --dim: #525252;"
    " --grid: #dedede; --pale: #e9eef4; --a: #0b5cad; --b: #a34100; --c: #5f5f5f;"
    " --ok: #06610a; --known: #7a4b00; --bad: #a80000; }\n"
    "@media screen and (prefers-color-scheme: dark) { :root { --ground: #16181b; --text: #ececec;"
    " --dim: #b9b9b9; --grid: #3a3d42; --pale: #262c34; --a: #7cb7ff; --b: #ffab6b; --c: #b5b5b5;"
    " --ok: #7ddc82; --known: #f0c060; --bad: #ff9a94; } }\n"
    "body { font-family: sans-serif; line-height: 1.4; max-width: 75em; margin: 2em auto;"
    " padding: 0 1em; background: var(--ground); color: var(--text); }\n"
    "a { color: var(--a); } :focus-visible { outline: 3px solid var(--b); outline-offset: 2px; }\n"
    "table { border-collapse: collapse; }\n"
    "caption { text-align: left; font-weight: bold; padding: 0.4em 0; }\n"
    "th, td { text-align: left; vertical-align: top; padding: 0.2em 1em 0.2em 0;"
    " } th + td { overflow-wrap: anywhere; } caption { white-space: nowrap; }\n"
    "tr { border-bottom: 1px solid var(--grid); }\n"
    ".matrix td, .matrix th { padding: 0.1em 0.6em; border: 1px solid var(--grid); }"
    " .heat a { color: inherit; } .heat.FAIL, .heat.ERROR { background: var(--bad);"
    " color: var(--ground); font-weight: bold; } .heat.known { background: var(--pale); }\n"
    ".num { white-space: nowrap; }\n"
    ".boxes, .boxes ~ label { display: inline; margin-right: 0.8em; }\n"
    ".ok { color: var(--ok); } .known, .skip { color: var(--known); }"
    " .FAIL, .ERROR { color: var(--bad); }\n"
    ".swatch { display: inline-block; width: 0.8em; height: 0.8em;"
    " border: 1px solid var(--text); }\n"
    "pre, .wide { overflow-x: auto; } pre { background: var(--pale); padding: 1em; }\n"
    "figure { margin: 1.5em 0; max-width: 62em; overflow-x: auto; break-inside: avoid; }\n"
    "figcaption { font-weight: bold; } figure svg { width: 100%; min-width: 36em; height: auto; }\n"
    "summary { cursor: pointer; padding: 0.3em 0; }\n"
    "svg text { font: 12px sans-serif; fill: var(--text); } svg .x { text-anchor: middle; }"
    " svg .y { text-anchor: end; } svg .label { fill: var(--dim); }\n"
    ".grid, .rule, .line, .range, .area { fill: none; } .grid { stroke: var(--grid); }\n"
    ".area { stroke: var(--dim); } .rule { stroke: var(--dim); stroke-dasharray: 2 3; }\n"
    ".band { fill: var(--pale); } .line, .range { stroke-width: 2; }\n"
    ".line.a, .range.a { stroke: var(--a); } .line.b, .range.b { stroke: var(--b); }"
    " .line.c, .range.c { stroke: var(--c); }\n"
    ".line.b { stroke-dasharray: 7 3; } .line.c { stroke-dasharray: 2 2; }\n"
    ".mark.a, .bar.a { fill: var(--a); } .mark.b, .bar.b { fill: var(--b); }"
    " .mark.c, .bar.c { fill: var(--c); }\n"
    "svg text.sign { font-size: 8px; text-anchor: middle; } svg text.sign.light { fill: #000; }"
    " svg text.sign.dark { fill: #fff; } .results .unmatched { display: none; }\n"
    "svg text.inside { paint-order: stroke; stroke: var(--ground); stroke-width: 3px; }\n"
    ".legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0 2em; }\n"
    "@media print { body { max-width: none; margin: 0; } nav, .boxes, .boxes ~ input, .boxes ~ "
    "label, #find { display: none; }"
    " details::details-content { content-visibility: visible; height: auto; } }\n";

void godwit_page_text(GString *page, const char *before, const char *text, const char *after)
{
    g_autofree char *escaped = godwit_report_xml(text);
    g_string_append_printf(page, "%s%s%s", before, escaped, after);
}

void godwit_page_code(GString *page, const char *text)
{
    /* What scrolls must be within reach of the keyboard. */
    godwit_page_text(page, "<pre tabindex=\"0\">", text, "</pre>\n");
}

GString *godwit_page_begin(const char *title)
{
    GString *page = g_string_new("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
                                 "<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
                                 "content=\"width=device-width, initial-scale=1\">\n");
    godwit_page_text(page, "<title>", title, "</title>\n<style>\n");
    g_string_append(page, style);
    godwit_page_text(page, "</style>\n</head>\n<body>\n<main>\n<h1>", title, "</h1>\n");
    return page;
}

void godwit_page_end(GString *page)
{
    g_string_append(page, "</main>\n</body>\n</html>\n");
}

void godwit_page_table(GString *page, bool folded, const char *caption, const char *const *heads)
{
    /* A region that scrolls must be within reach of the keyboard. */
    static const char region[] = "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"";
    if (folded)
        godwit_page_text(page, "<details><summary>", caption, "</summary>\n");
    g_string_append(page, region);
    godwit_page_text(page, "", caption, "\">\n<table>\n");
    if (!folded)
        godwit_page_text(page, "<caption>", caption, "</caption>\n");
    g_string_append(page, "<thead><tr>");
    for (; *heads; heads++)
        godwit_page_text(page, "<th scope=\"col\">", *heads, "</th>");
    g_string_append(page, "</tr></thead>\n<tbody>\n");
}

void godwit_page_row(GString *page, const char *const *cells)
{
    g_string_append(page, "<tr>");
    for (bool first = true; *cells; cells++, first = false)
        godwit_page_text(page, first ? "<th scope=\"row\">" : "<td>", *cells,
                         first ? "</th>" : "</td>");
    g_string_append(page, "</tr>\n");
}

void godwit_page_table_end(GString *page, bool folded)
{
    g_string_append(page,
                    folded ? "</tbody></table></div></details>\n" : "</tbody></table></div>\n");
}
