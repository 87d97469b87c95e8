"""The statement of the syntax, `net.lark`, and its parse table."""
