"""What a policy is worth, with an interval; and reports that people can look at."""
