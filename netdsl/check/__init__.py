"""From the syntax tree to the typed graph: names, static arguments, shapes."""
