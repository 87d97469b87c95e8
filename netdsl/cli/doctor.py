"""`netdsl doctor`: what is installed, what it can do, and how to repair what is wrong."""

from netdsl.cli.command import command as make
from netdsl.cli.terminal import ENVIRONMENT, OK, Terminal, table


@make("doctor")
def command(terminal: Terminal) -> int:
    """Report versions, ONNX Runtime's providers, the torch build and writable folders; exit 3 on a problem."""
    from netdsl.doctor import examine

    checks = examine()
    terminal.fields["checks"] = [
        {"name": c.name, "found": c.found, "problem": c.problem or None, "fix": c.fix or None} for c in checks
    ]
    for line in table(("what", "found"), [(c.name, c.found) for c in checks]):
        terminal.print(line)
    problems = [c for c in checks if c.problem]
    for problem in problems:
        terminal.print(f"\n{problem.name}: {problem.problem}\n  fix: {problem.fix}")
    if not problems:
        terminal.print("\nno problems")
    return ENVIRONMENT if problems else OK
