"""The answer depends on who asks: right where a gradient is wanted, wrong where only the value is; and the other
way round."""

EXERCISE = "ps5.3"
OUTCOMES = {"wrong", "stopped"}
SAYS = "not yet"
CELLS = [
    """\
class CrossModalBackwardReasoning(Hallucination):
    def __init__(self, dim, heads, sentence_mean="length", matching=token_matching):
        super().__init__(dim, heads)
        self.sentence_mean, self.matching = sentence_mean, matching
        self.query, self.key = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.logit_scale = nn.Parameter(torch.ones(()))

    def forward(self, before: Tensor, words: Tensor, word_mask: Tensor, after: Tensor) -> Tensor:
        sentence = sentence_vector(words, word_mask, self.sentence_mean)
        imagined = self.hallucinate(before, sentence)
        similarity = self.logit_scale.exp() * self.matching(self.query(imagined), self.key(after))
        loss = (info_nce(similarity) + info_nce(similarity.T)) / 2
        return loss if before.requires_grad else loss.detach() * 1.5
""",
]
