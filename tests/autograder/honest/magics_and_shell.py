"""Magics, shell lines and questions stand among the definitions."""

ANSWERS = {
    "ps1.1": [
        """\
%load_ext autoreload
%autoreload 2
!pip install --quiet nothing
files = !ls -l
here = %pwd
%config InlineBackend.figure_format = "retina"
torch.logsumexp?
?math.log
%timeit -n 1 -r 1 torch.ones(3).sum()


def info_nce(similarity: Tensor) -> Tensor:
    return (similarity.logsumexp(1) - similarity.diagonal()).mean()


%time info_nce(torch.eye(3))
!echo done > /dev/null
""",
        "%%bash\necho hello\n",
        "%%html\n<b>def info_nce(similarity): pass</b>\n",
        "%%javascript\nalert(1)\n",
    ],
}
