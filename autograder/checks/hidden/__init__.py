"""Hidden checks: ordinary pytest tests that students never see. For instructors only.

    @pytest.mark.exercise("ps1.1")
    def test_the_order_of_the_batch_does_not_count(student: Pieces, rng: np.random.Generator) -> None:
        similarity, order = numbers(rng, 7, 7), torch.from_numpy(rng.permutation(7))
        same(student.info_nce(similarity[order][:, order]), student.info_nce(similarity))

`student` has the pieces by name; they run elsewhere, and gradients flow through them as through torch's own. What else
there is stands in `autograder/plugin.py`. A new test in any `test_*.py` of this folder counts at once: an exercise earns its
points if all its tests pass. Three things to mind:

* Be fair. Any right way to write a piece must pass, on any seed: ask what the exercise promises, leave room for rounding,
  and leave out what its text never mentions. `tests/autograder/test_hidden_checks.py` tries the honest ways.
* Be brief. Each use of a piece is a question to another process, a gradient is one more; what does not depend on an answer
  can be asked ahead, with the marker `asks`.
* Say in the assertion what is wrong; instructors read it in the class report, students never.

To try them on one hand-in: pytest autograder/checks/hidden -p autograder.plugin --student=submitted/ada
"""
