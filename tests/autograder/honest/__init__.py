"""One honest hand-in a file: right answers, written or saved in a way that graders stumble over."""
