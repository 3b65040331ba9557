"""Hidden checks: pytest tests that students never see, see autograder/plugin.py. For instructors only."""
