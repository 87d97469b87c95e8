"""What turns a typed graph into something that runs."""
