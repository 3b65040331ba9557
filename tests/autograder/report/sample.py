"""A class of thirty with everything that can happen, and with students who write what breaks pages."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np

from autograder.checks import exercises
from autograder.checks.exercise import COMMON, Exercise
from autograder.results import ExerciseResult, Outcome, StudentResult, TestResult

DUE = datetime(2026, 10, 1, 22, tzinfo=timezone(timedelta(hours=2)))
SECRET = "sealed-quince-5520"  # stands in everything that only instructors may read
HOSTILE = (
    "<script>document.title='gone'; fetch('http://127.0.0.1:9/stolen')</script>",
    '"><img src=http://127.0.0.1:9/x.png onerror="document.title=\'gone\'"><svg onload=alert(1)>',
    "' onmouseover='document.title=1' x='</style></title><style>*{display:none}</style>",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 nul\0 bell\x07 back\x08\x08\x08",
    "\u202eesrever\u202c \u2066isolated\u2069 zero\u200bwidth \ufeff mark \U000e0041",
    "Z" + "\u0301\u0327\u0336" * 40 + "algo",
    "{{ 7 * 7 }} {% raw %} ${x} %(y)s {0} `<b>code</b>` \\u003cscript\\u003e javascript:alert(1)",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'><base href=http://127.0.0.1:9/>",
    "<iframe src=http://127.0.0.1:9/></iframe><link rel=stylesheet href=http://127.0.0.1:9/a.css>",
    "שלום עולם مرحبا 你好，世界 Grüße ﷽",
    "</p></article></main></body></html><!-- <![CDATA[ ]]>",
    "W" * 1_000_000,
)
LISTED = (
    "ada,baptiste,chidi,dilnoza,emil,fatima,goran,hana,ines,jonas,kofi,lucia,mateo,nadia,oskar,priya,quang,rosa,sam,"
    "tereza,umar,vera,wei,ximena,yusuf,zoe"
)
NAMES = LISTED.split(",")
ODD_NAMES = (
    '=HYPERLINK("http://127.0.0.1:9")',
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "李雷 \u202eevil",
)


def sample_class(seed: int = 0) -> list[StudentResult]:
    """Thirty results: most are ordinary, one of each kind is not, and hostile texts stand wherever a text may stand."""
    rng = np.random.default_rng(seed)
    students = [ordinary(name, rng) for name in (*NAMES, *ODD_NAMES)]
    by_name = {each.student: each for each in students}
    by_name["ada"] = perfect("ada")
    by_name["emil"] = StudentResult(
        student="emil",
        error="submitted.zip is no archive (the end of it is missing); hand it in again.",
        notes=("submitted.zip was not opened.",),
    )
    by_name["goran"] = by_name["goran"].model_copy(update={"exercises": blank()})
    for number, name in enumerate((*ODD_NAMES, "oskar", "sam")):
        by_name[name] = spoiled(by_name[name], number)
    by_name["zoe"] = with_outcomes(by_name["zoe"])
    return list(by_name.values())


def ordinary(name: str, rng: np.random.Generator) -> StudentResult:
    """A student of some ability who gets further the more of it there is."""
    ability = rng.normal(scale=0.9)
    found = {each.id: answered(each, ability, rng) for each in exercises().values()}
    late = timedelta(hours=float(rng.choice([-30, -5, -1, 3, 50], p=[0.3, 0.3, 0.2, 0.1, 0.1])))
    wrong = {id.split(".")[0] for id, each in found.items() if each.outcome is not Outcome.NOT_ATTEMPTED}
    return StudentResult(
        student=name,
        exercises=found,
        handed_in={each: DUE + late if rng.random() < 0.9 else None for each in sorted(wrong)},
        notes=("ps1_infonce/ps1_infonce.ipynb: cell 9 stood there twice; the last one counts.",)
        if rng.random() < 0.2
        else (),
        isolation="namespaces",
        key=f"key-{name}",
        seconds=float(rng.uniform(1, 4)),
    )


def answered(each: Exercise, ability: float, rng: np.random.Generator) -> ExerciseResult:
    hard = each.difficulty / 2.5 - 2.1 + 0.25 * int(each.set[2:])
    draw = ability - hard + rng.normal(scale=1.1)
    if draw < -1.6:
        return result(
            each,
            Outcome.NOT_ATTEMPTED,
            f'{each.id} is not attempted yet: `{each.piece}` still raises NotImplementedError. hint("{each.id}") helps.',
        )
    if draw > 0:
        return result(each, Outcome.RIGHT, f"{each.id} {each.title}: right.", rng=rng)
    keys = [*each.ideas]
    key = str(rng.choice(keys, p=np.arange(len(keys), 0, -1) / sum(range(len(keys) + 1))))
    if rng.random() < 0.25:
        return result(
            each,
            Outcome.WRONG,
            f"{each.id} {each.title}: not yet. The result has the right shape, but other values than it should have.",
            rng=rng,
        )
    idea = each.idea(key)
    read = f" Read “{idea.read}” again." if idea.read else ""
    return result(
        each,
        Outcome.WRONG,
        f"{each.id} {each.title}: not yet. It looks like this: {idea.name}. {idea.text}{read}",
        key,
        rng,
    )


def result(
    each: Exercise, outcome: Outcome, message: str, idea: str = "", rng: np.random.Generator | None = None
) -> ExerciseResult:
    right = outcome is Outcome.RIGHT
    tests = (
        tuple(
            TestResult(
                name=f"{SECRET}-{name}",
                passed=right or bool(rng.random() < 0.5),
                message="" if right else f"{SECRET}: expected 0.6931",
            )
            for name in ("values", "fresh inputs", "gradient")
        )
        if rng
        else ()
    )
    return ExerciseResult(
        id=each.id,
        piece=each.piece,
        outcome=outcome,
        points=each.points if right else 0,
        out_of=each.points,
        message=message,
        idea=idea,
        check="" if right else f"{SECRET}-values",
        where="" if outcome is Outcome.NOT_ATTEMPTED else f"{each.set}/{each.set}.ipynb, cell 8",
        lent=() if right else tuple(exercises()[id].piece for id in each.needs[:2]),
        tests=tests,
        seconds=0.0 if rng is None else float(rng.uniform(0.01, 0.4)),
    )


def perfect(name: str) -> StudentResult:
    found = {
        each.id: result(each, Outcome.RIGHT, f"{each.id} {each.title}: right.")
        for each in exercises().values()
    }
    return StudentResult(student=name, exercises=found, handed_in={"ps1": DUE}, isolation="namespaces")


def blank() -> dict[str, ExerciseResult]:
    return {
        each.id: result(each, Outcome.NOT_ATTEMPTED, f"{each.id}: there is no “{each.piece}” yet.")
        for each in exercises().values()
    }


def with_outcomes(student: StudentResult) -> StudentResult:
    """One exercise of each kind of end."""
    found = dict(student.exercises)
    ends = zip(found, Outcome, strict=False)
    for id, outcome in ends:
        found[id] = result(exercises()[id], outcome, f"{id}: a word about it.")
    idea = COMMON["no-gradient"]
    each = exercises()["ps4.1"]
    text = idea.text.format(where="argument 1")
    found["ps4.1"] = result(
        each,
        Outcome.WRONG,
        f"ps4.1 {each.title}: not yet. It looks like this: {idea.name}. {text}",
        "no-gradient",
    )
    return student.model_copy(
        update={"exercises": found, "flags": (f"{SECRET}: a frame that no answer has",)}
    )


def spoiled(student: StudentResult, number: int) -> StudentResult:
    """Hostile texts wherever a student's words may come through."""
    found = {}
    for place, (id, each) in enumerate(student.exercises.items()):
        text = HOSTILE[(place + number) % len(HOSTILE)]
        found[id] = each.model_copy(
            update={
                "outcome": Outcome.WRONG,
                "points": 0.0,
                "message": f"{id} {exercises()[id].title}: not yet. Your code stopped with ValueError: {text}.",
                "idea": "",
                "where": f"{text[:3000]}.ipynb, cell 3",
                "flags": (f"said {text[:5000]}",),
                "lent": ("info_nce", text[:50]) if place % 3 == 0 else (),
            }
        )
    return student.model_copy(
        update={
            "exercises": found,
            "notes": HOSTILE,
            "flags": HOSTILE[:8],
            "error": HOSTILE[number % len(HOSTILE)],
        }
    )
