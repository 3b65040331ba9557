"""Marks that turn the direction of writing make wrong code look right to whoever reads it."""

EXERCISE = "ps4.4"
SAYS = "not yet"
CELLS = [
    "def difference_tokens(before, after, weight, bias):\n"
    "    '''Right.\u202e '''; return before - after  # \u2066 ''' \u2069\u2066\n"
    "    return F.linear(torch.cat([before, after], dim=-1), weight, bias).relu()\n",
]
