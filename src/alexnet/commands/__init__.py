"""One function for each command, by topic. What is heavy is imported inside, so that --help is quick."""
