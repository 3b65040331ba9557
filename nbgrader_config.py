"""nbgrader in this course: solutions/ is the source, assignments/ what students get."""

from pathlib import Path

c = get_config()

c.CourseDirectory.course_id = "image-change-captioning"
c.CourseDirectory.root = str(Path(__file__).parent)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "assignments"
# A training cell may take minutes; loading torch takes seconds.
c.ExecutePreprocessor.timeout = 900
c.ExecutePreprocessor.startup_timeout = 120
c.ExecutePreprocessor.shutdown_kernel = "immediate"
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError"}
c.ClearSolutions.text_stub = "*Your answer here.*"
