"""Docstrings, comments, identifiers and texts in Chinese, Greek, Arabic and with symbols."""

ANSWERS = {
    "ps1.1": [
        """\
def 行损失(相似度: Tensor, 温度: float = 1.0) -> Tensor:
    '''每一行是一个问题，对角线是正确答案。'''
    return (相似度 / 温度).logsumexp(1) - (相似度 / 温度).diagonal()  # λόγος: الخسارة


def info_nce(相似度: Tensor) -> Tensor:
    \"\"\"对比损失（单位：奈特）。「越小越好」— ∑ exp(sᵢⱼ) ≥ 0 ✓ 🎯\"\"\"
    σ, π = 行损失(相似度), "完成"
    return σ.mean()
""",
    ],
    "ps1.2": [
        """\
def info_nce_gradient(s: Tensor) -> Tensor:
    '''Прогноз минус правда; ∂ℓ/∂s = (p − δ)/B.'''
    Δ = s.softmax(1) - torch.eye(len(s), dtype=s.dtype)
    return Δ / len(s)
""",
    ],
}
