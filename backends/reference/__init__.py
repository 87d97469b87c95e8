"""The definition of right: every op in numpy, float64."""
