"""Definitions are deleted, replaced and defined again; the last one is right."""

ANSWERS = {
    "ps1.1": [
        "def info_nce(similarity):\n    return similarity.sum()\n\ndel info_nce\n",
        "info_nce = None\n",
        "def info_nce(similarity):\n    raise NotImplementedError\n",
        "def info_nce(similarity):\n    return (similarity.logsumexp(1) - similarity.diagonal()).mean()\n",
        "del similarity, undefined\n",
    ],
}
