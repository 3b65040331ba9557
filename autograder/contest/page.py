"""The leaderboard of a contest, as a page and as JSON.

Ranked by the share of true statements about change pairs, then by CIDEr. Where a checkpoint was run again, its own captions
count. The page holds no script and loads nothing; whatever students wrote is escaped.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from typing import Any

from autograder.contest.score import APART, DRAWS, SAME, TOLERANCE, Entry, Figures
from idc.report import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
MORE_STYLE = """
.interval { position: relative; display: inline-block; width: 6rem; height: .7rem;
  vertical-align: middle; background: var(--bar); border-radius: .2rem; }
.interval i { position: absolute; top: 0; height: 100%; background: var(--right); opacity: .35; border-radius: .2rem; }
.interval b { position: absolute; top: -.15rem; width: 2px; height: 1rem; background: var(--ink); }
td small { color: var(--soft); margin-left: .4rem; } td.name, th.name, td.marks, th.marks { text-align: left; }
td.name { max-width: 16rem; overflow: hidden; text-overflow: ellipsis; } td.marks { white-space: normal; min-width: 16rem; }
body { max-width: 76rem; }
.plain { color: var(--soft); background: var(--bar); }
dt { font-weight: 600; } dd { margin: 0 0 .75rem; color: var(--soft); }
"""


def ranked(entries: Sequence[Entry]) -> list[tuple[int, Entry, Figures]]:
    """(place, entry, its figures), best first; equal figures share a place. Entries without captions are left out."""
    found = [(entry, figures) for entry in entries if (figures := entry.counted) is not None]
    found.sort(key=lambda each: (-each[1].statement, -each[1].cider, each[0].pseudonym, each[0].student))
    places: list[int] = []
    for number, (_, figures) in enumerate(found, start=1):
        above = found[number - 2][1] if number > 1 else None
        same = above is not None and (above.statement, above.cider) == (figures.statement, figures.cider)
        places.append(places[-1] if same else number)
    return [(place, *each) for place, each in zip(places, found, strict=True)]


def names(entries: Sequence[Entry], anonymous: bool) -> list[str]:
    """What the entries are called. anonymous: pseudonyms, numbered where two chose the same; else ids and pseudonyms."""
    if not anonymous:
        return [f"{each.student} ({each.pseudonym})" if each.pseudonym else each.student for each in entries]
    chosen = Counter(each.pseudonym.casefold() for each in entries)
    given: Counter[str] = Counter()
    result = []
    for each in entries:
        name = each.pseudonym or "someone"
        given[name.casefold()] += 1
        alone = chosen[each.pseudonym.casefold()] == 1 and each.pseudonym
        result.append(name if alone else f"{name} {given[name.casefold()]}")
    return result


def marks(entry: Entry) -> list[tuple[str, str]]:
    """(kind, words) of what was found out about an entry; kinds: right, wrong, plain."""
    found = []
    if entry.rerun is None or entry.rerun.figures is None:
        found.append(("plain", "not re-run"))
    elif entry.rerun.same >= SAME:
        found.append(("right", "✓ recomputed"))
    else:
        found.append(("wrong", f"✗ captions differ ({entry.rerun.same:.0%} the same)"))
    if entry.claims:
        found.append(("wrong", "✗ claimed differs"))
    elif entry.compared:
        found.append(("right", "✓ claims hold"))
    return found


def leaderboard(entries: Sequence[Entry], anonymous: bool = False) -> list[dict[str, Any]]:
    """The rows of the leaderboard as plain values."""
    rows = ranked(entries)
    called = names([entry for _, entry, _ in rows], anonymous)
    return [
        {"place": place, "name": name, **figures.model_dump(), "marks": [words for _, words in marks(entry)]}
        for (place, entry, figures), name in zip(rows, called, strict=True)
    ]


def leaderboard_page(
    entries: Sequence[Entry], title: str = "Leaderboard", anonymous: bool = False, details: bool = False
) -> str:
    """A self-contained page. anonymous: with pseudonyms only. details: also what is for the instructor's eyes."""
    rows = ranked(entries)
    called = names([entry for _, entry, _ in rows], anonymous)
    body = "".join(row(*each, name) for each, name in zip(rows, called, strict=True))
    if not body:
        body = '<tr><td colspan="7" class="name">Nobody has entered yet.</td></tr>'
    first = rows[0][2] if rows else None
    counts = f"{first.pairs} pairs with a change, {first.no_change_pairs} without" if first else "no pairs"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{html.escape(title)}</title>
<style>{STYLE}{MORE_STYLE}</style></head><body>
<h1>{html.escape(title)}</h1>
<p>{len(rows)} {"entry" if len(rows) == 1 else "entries"}; {counts}. Best is who says the most true things about the changes;
CIDEr decides between equals. Ranges hold 95 % of what {DRAWS} redraws of the pairs give: where two ranges overlap much,
the order may be luck.</p>
<div class="scroll"><table><thead><tr><th>place</th><th class="name">who</th><th>true, change</th><th></th>
<th>true, no change</th><th>CIDEr × 100</th><th class="marks">checked</th></tr></thead>
<tbody>{body}</tbody></table></div>
<h2>What the columns mean</h2><dl>
<dt>true, change</dt><dd>Captions whose type of change, object and new value are those of the scene graph.</dd>
<dt>true, no change</dt><dd>Captions that say of an unchanged scene, seen from elsewhere, that nothing changed.</dd>
<dt>CIDEr × 100</dt><dd>Likeness to six true sentences a change, five a pair without; over all pairs.</dd>
<dt>recomputed</dt><dd>The submitted checkpoint was run again in the library's own model and said the submitted captions, at
least {SAME:.0%} of them to the letter.</dd>
<dt>captions differ</dt><dd>The checkpoint said something else than what was submitted; its own captions are ranked.</dd>
<dt>not re-run</dt><dd>No checkpoint came, or none that could be run. The captions may have come about in any way.</dd>
<dt>claimed differs, claims hold</dt>
<dd>Whether the results on one's own test split come out when they are computed again, to within
{100 * TOLERANCE:.1f} of a hundred.</dd></dl>
{details_of(entries) if details and not anonymous else ""}
</body></html>
"""


def row(place: int, entry: Entry, figures: Figures, name: str) -> str:
    """A line of the table."""
    low, high = 100 * figures.statement_low, 100 * figures.statement_high
    interval = (
        f'<span class="interval"><i style="left: {low:.1f}%; width: {high - low:.1f}%"></i>'
        f'<b style="left: {100 * figures.statement:.1f}%"></b></span>'
    )
    found = " ".join(f'<span class="mark {kind}">{html.escape(words)}</span>' for kind, words in marks(entry))
    return (
        f'<tr><td>{place}</td><td class="name" dir="auto">{html.escape(name)}</td>'
        f"<td>{figures.statement:.1%} <small>{low:.1f} to {high:.1f}</small></td><td>{interval}</td>"
        f"<td>{figures.no_change:.1%}</td>"
        f"<td>{100 * figures.cider:.1f} <small>{100 * figures.cider_low:.1f} to {100 * figures.cider_high:.1f}</small></td>"
        f'<td class="marks">{found}</td></tr>'
    )


def details_of(entries: Sequence[Entry]) -> str:
    """Claims that differ and remarks, by student; for instructors."""
    blocks = []
    for entry in entries:
        lines = [*entry.claims, *entry.remarks]
        if entry.rerun is not None and entry.rerun.reason:
            lines.append(entry.rerun.reason)
        if lines:
            items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
            blocks.append(f'<h3 dir="auto">{html.escape(entry.student)}</h3><ul>{items}</ul>')
    if not blocks:
        return ""
    return f"""<h2>For the instructor</h2><p>Differences call for a question, not for a verdict. A contest that falls
{APART:.0f} standard errors behind the own test split is named, too.</p>{"".join(blocks)}"""
