"""NotImplementedError and other exceptions are left in cells between the answers, and a question to the keyboard."""

from tests.autograder.handins import solution

ANSWERS = {
    "ps1.1": [
        "raise NotImplementedError('come back to this')\n",
        "1 / 0\n",
        "assert False\n",
        "exit()\n",
        "name = input('your name? ')\n",
        "import sys\nsys.exit(1)\n",
        "def unfinished(x):\n    raise NotImplementedError\n\nunfinished(3)\n",
        "import pdb; pdb.set_trace()\n",
        solution("ps1.1"),
    ],
    "ps1.2": ["info_nce_gradient(torch.eye(2))\n", solution("ps1.2")],
}
