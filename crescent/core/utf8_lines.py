"""Lines of a text file written by someone else, which must be UTF-8.

In: bytes. Out: numbered lines, or a UserError naming the first line in another encoding. With replacement characters
instead, the model would be trained on words with holes in them.
"""

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator

from crescent.core.errors import UserError


def utf8_lines(data: Iterable[bytes], name: str) -> Iterator[tuple[int, str]]:
    """Yields (number, text without line end) of each non-blank line; `data` is an open binary file or a list of lines.

    Raises UserError, with `name`:number, for a line that is not UTF-8.
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
