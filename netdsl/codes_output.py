"""The codes of files that are read and written: E07. No `.net` text shows them, so they have no example."""

from netdsl.codes import Code

CODES: dict[str, Code] = {
    "E0701": Code(
        "a file cannot be read or written",
        "The operating system refused, and the message ends with its reason: the file does not exist, this user may "
        "not read it or write into its folder, or the file system is mounted read-only. When several files are to be "
        "written and one of them is refused, none of them changes.",
        "",
        "",
    ),
    "E0702": Code(
        "an output path that is not a file",
        "The path of an output names a folder, a device or a pipe. Those are never replaced: name a file inside the "
        "folder.",
        "",
        "",
    ),
    "E0703": Code(
        "an output path that is a symbolic link",
        "An output replaces the file of its name. A link is neither replaced nor followed, because either could "
        "destroy a file that was not named: name the file that the link points to, or remove the link. Links among "
        "the folders of the path are followed as usual.",
        "",
        "",
    ),
    "E0704": Code(
        "an output folder that does not exist",
        "The folder of an output is not created, so that a misspelt path leaves nothing behind: create it first.",
        "",
        "",
    ),
    "E0705": Code(
        "a disk that is full or failing",
        "There is no room for the output, a quota or a size limit is reached, or the device reports an error. An older "
        "file of the same name is untouched, and what was written so far has been removed.",
        "",
        "",
    ),
}
