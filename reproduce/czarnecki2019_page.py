"""The page of plots, and the tables in the documentation."""

from pathlib import Path

import czarnecki2019_figure2
import czarnecki2019_findings
import czarnecki2019_teachers
import jinja2
from czarnecki2019_cells import Plan, rates_of
from czarnecki2019_claims import Claim, run_claims
from czarnecki2019_intervals import NotRunError, Results, mean_interval
from czarnecki2019_panels import BEST_VARIANT, PANELS, RATE_VARIANT, Panel
from czarnecki2019_plots import all_figures, as_svg

DOCS_PAGE = Path("docs") / "reproduce-czarnecki2019.md"
PICTURES = Path("docs") / "czarnecki2019"
PAGE = Path("reproduce") / "czarnecki2019.html"
MARKS = ("<!-- written by reproduce/czarnecki2019.py: {} -->", "<!-- end of {} -->")

# Values at 30,000 iterations as read off the paper's figures, to about 0.1.
# per panel in the order of PANELS. None: not in the figure.
PAPER: dict[int, dict[str, tuple[float | None, ...]]] = {
    4: {
        "on-policy-distill": (6.6, 6.6, 5.8, 4.0),
        "entropy-regularised": (6.6, 5.6, -4.2, -10.0),
        "exp-entropy-regularised": (6.2, 6.3, 6.0, 4.8),
        "baseline": (6.6, 1.4, -1.9, -0.8),
    },
    5: {
        "baseline": (6.6, 6.6, 6.7, 6.7),
        "on-policy-distill": (7.3, 7.3, 5.4, 3.2),
        "on-policy-distill+R": (7.3, 7.3, 7.2, 6.9),
        "value-gated+R": (7.3, 7.3, 7.3, 7.3),
        "entropy-regularised": (7.3, 7.3, 4.6, 2.1),
        "kl-regularised": (7.3, 7.3, 4.6, 2.2),
        "td-v0": (None, 3.8, 3.7, 3.7),
        "td-teacher-v": (None, 7.1, 6.5, 5.7),
        "teacher-v-reward": (7.3, 7.3, 7.4, 7.4),
    },
    6: {
        "baseline": (0.95, 0.95, None),
        "on-policy-distill": (0.95, -0.95, None),
        "on-policy-distill+R": (0.95, -0.95, None),
        "value-gated+R": (0.95, 0.07, None),
        "entropy-regularised": (0.95, -0.95, None),
        "kl-regularised": (0.95, None, None),
        "td-v0": (0.35, 0.35, None),
        "td-teacher-v": (0.95, -0.5, None),
        "teacher-v-reward": (0.95, 0.95, None),
    },
}
CHOSEN = (
    "The shares of walls, ends and penalties in the grids: 0.1 walls, 0.01 each of +10, +5, -5 and "
    "-10 that end the episode, 0.1 of -1. They fit the one map that the paper prints.",
    "The learning rate. 0.001 for every method in every figure: of the powers of ten the one that "
    "comes closest to the paper's KL under uniform visits at 30,000 iterations (Figure 3). "
    "And, since the paper does not give it, once more: Figure 3 with 0.1, Figures 4 to 6 with the "
    "best of 0.0001, 0.001, ..., 1 for each method: the highest return averaged over the "
    "checkpoints and over 3 worlds (2 with 400 actions) that are shown nowhere. There the rates "
    "for 4,000 actions are those of 400; under noise and with the adversary those of the perfect "
    "teacher, since nobody knows in advance how wrong a teacher is.",
    "Figure 3's teachers: Q-learning, 300,000 steps (30,000 episodes of about 10 steps), "
    "epsilon 0.1, learning rate 0.1. Figures 4 to 6: the greedy optimal policy, because such a "
    "Q-learner often settles on a near reward and the paper's teachers there are nearly optimal.",
    "Teacher noise: in 15 % or 25 % of the states the actions are shuffled, once for all. (Mixing "
    "with a uniform policy costs far less return than the paper's figure shows.) V_pi is the exact "
    "value of the noisy policy.",
    "More actions: copies of the four.",
    "TD: one-step temporal differences with a learnt critic. Monte Carlo: the plain sampled sum, "
    "without a baseline. Figures 4 and 6 use TD. The value gate compares V_pi with a learnt V of "
    "the student.",
    "V_0 in TD + V_0 is zero. Log-probabilities of the teacher are clamped at log 1e-8.",
    "The adversary of Figure 6 brings the critic it would have learnt, the value of what it wants "
    "(minus the reward). With its true V_pi, which rises towards the goal, TD + V_pi and the value "
    "gate solve the corridor, and the paper's do not; both are shown.",
    "The corridor has 19 cells; the paper does not say.",
    "No correction for the number of claims: each interval is a 95 % interval by itself.",
)


def all_claims() -> dict[str, list[Claim]]:
    """By the learning rates; in the order of the figures."""
    return {
        "at learning rate 0.001": [
            *czarnecki2019_figure2.claims(),
            *czarnecki2019_findings.figure3(""),
            *czarnecki2019_findings.figure4(""),
            *czarnecki2019_teachers.figure5(""),
            *czarnecki2019_teachers.figure6(""),
        ],
        "at other learning rates": [
            *czarnecki2019_findings.figure3(RATE_VARIANT),
            *czarnecki2019_findings.figure4(BEST_VARIANT),
            *czarnecki2019_teachers.figure5(BEST_VARIANT),
            *czarnecki2019_teachers.figure6(BEST_VARIANT),
        ],
    }


Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def claims_table(results: Results, claims: list[Claim]) -> Table:
    """Figure, claim, word, evidence."""
    rows = [
        (str(claim.figure), claim.text, word, "; ".join(evidence for _, evidence in parts))
        for claim, word, parts in run_claims(claims, results)
    ]
    return ("figure", "claim", "word", "evidence"), rows


def summary_table(tables: dict[str, Table]) -> Table:
    """One line per claim: its word at each choice of learning rates."""
    words = [{row[:2]: row[2] for row in rows} for _, rows in tables.values()]
    rows = [(*claim, *(column.get(claim, "-") for column in words)) for claim in words[0]]
    return ("figure", "claim", *tables), rows


def values_table(results: Results, figure: int, variant: str) -> Table:
    """Return at the end with its interval, and the paper's in brackets."""
    panels = [panel for panel in PANELS if (panel.figure, panel.variant) == (figure, variant)]
    rows: list[tuple[str, ...]] = []
    for arm, known in PAPER[figure].items():
        pairs = zip(panels, known, strict=True)
        rows.append((arm, *(value_cell(results, panel, arm, theirs) for panel, theirs in pairs)))
    rows.append(("the teacher", *(value_cell(results, panel, "", None) for panel in panels)))
    return ("method", *(panel.title for panel in panels)), rows


def value_cell(results: Results, panel: Panel, arm: str, theirs: float | None) -> str:
    """One number with its interval; the paper's in brackets where it is known."""
    known = "" if theirs is None else f" ({theirs:g})"
    if arm and arm not in panel.arms:
        return "not in the figure"
    try:
        if arm:
            found = mean_interval(results.curves(panel.figure, panel.file, arm)[:, -1])
        else:
            found = mean_interval(
                results.curves(panel.figure, panel.file, panel.arms[0], "teacher")[:, 0]
            )
    except NotRunError:
        return f"not run{known}"
    return f"{found.estimate:.2f} ± {found.high - found.estimate:.2f}{known}"


def rates_table(plan: Plan) -> Table:
    """The learning rate of every method, per panel."""
    rows: list[tuple[str, ...]] = []
    for panel in PANELS:
        try:
            rates = rates_of(panel, plan, choose=False)
        except NotRunError:
            continue
        words = ", ".join(f"{arm} {rate:g}" for arm, rate in rates.items())
        rows.append((str(panel.figure), panel.title, words))
    return ("figure", "panel", "learning rates"), rows


def cost_table(plan: Plan, results: Results) -> Table:
    """Worlds and processor time of every panel."""
    rows: list[tuple[str, ...]] = []
    for panel in PANELS:
        try:
            records = [results.record(panel.figure, panel.file, arm) for arm in panel.arms]
        except NotRunError:
            rows.append((str(panel.figure), panel.file, "not run", ""))
            continue
        counts = [len(record["teacher"]) for record in records]
        minutes = sum(record["seconds"] for record in records) / 60
        rows.append((str(panel.figure), panel.file, str(min(counts)), f"{minutes:.1f}"))
    return ("figure", "panel", "worlds", "processor minutes"), rows


def as_markdown(table: Table) -> str:
    """A table of pipes."""
    head, rows = table
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def write_page(plan: Plan, root: Path) -> None:
    """The page and the pictures under a root, and the tables of the documentation there."""
    results = Results(plan.folder)
    pictures = {name: as_svg(figure) for name, figure in all_figures(results).items()}
    claims = {words: claims_table(results, found) for words, found in all_claims().items()}
    tables = {
        "claims": summary_table(claims),
        **{f"evidence {words}": table for words, table in claims.items()},
        **{
            f"returns of figure {figure} {words}": values_table(results, figure, variant)
            for figure in PAPER
            for variant, words in (("", "at 0.001"), (BEST_VARIANT, "at the best rates"))
        },
        "learning rates": rates_table(plan),
        "cost": cost_table(plan, results),
    }
    (root / PICTURES).mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        (root / PICTURES / f"{name}.svg").write_text(picture)
    (root / PAGE).parent.mkdir(parents=True, exist_ok=True)
    template = jinja2.Environment(autoescape=True).from_string(TEMPLATE)
    (root / PAGE).write_text(template.render(pictures=pictures, tables=tables, chosen=CHOSEN))
    if (root / DOCS_PAGE).exists():
        bullets = "\n".join(f"- {line}" for line in CHOSEN)
        text = between((root / DOCS_PAGE).read_text(), "choices", bullets)
        for name, table in tables.items():
            text = between(text, name, as_markdown(table))
        (root / DOCS_PAGE).write_text(text)


def between(text: str, name: str, new: str) -> str:
    """Replace what stands between the marks of that name; without marks nothing changes."""
    begin, end = (mark.format(name) for mark in MARKS)
    if begin not in text:
        return text
    before, rest = text.split(begin, 1)
    return f"{before}{begin}\n\n{new}\n\n{end}{rest.split(end, 1)[1]}"


TEMPLATE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Distilling Policy Distillation, reproduced</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 75rem; margin: 1rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-size: 13px } td, th { border: 1px solid #bbb;
padding: 2px 6px; text-align: left; vertical-align: top } svg { max-width: 100%; height: auto }
</style>
<h1>Figures 2 to 6 of "Distilling Policy Distillation"</h1>
<p>Czarnecki et al. 2019, arXiv:1902.02186, made again by <code>python
reproduce/czarnecki2019.py</code>. Lines are means over random worlds, bands 95 % intervals
(Student's t) over worlds, dotted lines the mean return of the teachers. One iteration is one
episode. What is plotted at each checkpoint is computed exactly, not sampled.</p>
<h2>What the paper leaves open, and what was chosen</h2>
<ul>{% for line in chosen %}<li>{{ line }}</li>{% endfor %}</ul>
<p>A claim <em>holds</em> where the 95 % interval of each of its numbers lies inside the range asked
for, <em>does not hold</em> where one lies outside, and <em>cannot be told</em> otherwise.
Differences are paired over worlds.</p>
{% for name, table in tables.items() %}<h2>{{ name }}</h2>
<table><tr>{% for cell in table[0] %}<th>{{ cell }}</th>{% endfor %}</tr>
{% for row in table[1] %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>
{% endfor %}
{% for name, picture in pictures.items() %}<h2>{{ name }}</h2>
{{ picture[picture.index('<svg'):] | safe }}
{% endfor %}
</html>
"""
