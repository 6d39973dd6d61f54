"""Lines of a text file that somebody else wrote, which must be UTF-8.

In: bytes. Out: numbered lines, or a ValueError that names the line which is in another encoding. Read with replacement
characters instead, such a file would be trained on with holes in its words.
"""

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator

from crescent.core.errors import UserError


def utf8_lines(data: Iterable[bytes], name: str) -> Iterator[tuple[int, str]]:
    """(number, text without its end) of each line that is not blank; `data` is an open binary file or bytes' lines.

    Raises ValueError for a line that is not UTF-8, as `name`:number.
    """
    for number, line in enumerate(data, 1):
        try:
            text = (line.removeprefix(BOM_UTF8) if number == 1 else line).decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{name}:{number} is not UTF-8 (byte 0x{line[error.start]:02x}); save the file as UTF-8, for example "
                "with `iconv -f LATIN1 -t UTF-8`"
            ) from None
        if text.strip():
            yield number, text
