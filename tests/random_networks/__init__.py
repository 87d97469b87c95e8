"""Random well-typed networks: built from the rules of the ops, tame in their numbers, printed, and run in every backend."""
