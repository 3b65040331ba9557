"""Coroutines and `await` on the top level, as notebooks allow them."""

from tests.autograder.handins import solution

ANSWERS = {
    "ps1.1": [
        "import asyncio\n\nasync def fetch(x):\n    await asyncio.sleep(0)\n    return x\n\nvalue = await fetch(3)\n",
        "await asyncio.gather(fetch(1), fetch(2))\nasync with something() as s:\n    pass\n",
        solution("ps1.1"),
    ],
}
