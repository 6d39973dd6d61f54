"""Makes chat templates that print today's date (Llama 3.2, SmolLM3, several Mistral models) print a fixed date.

In: a chat template and a date. Out: the template with the date fixed, so that it renders the same text on any day;
other templates are returned unchanged. Templates read the date from the function `strftime_now`; Llama's templates
prefer a variable `date_string`. This module loads no model.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from crescent.core.errors import UserError

DATE = "26 Jul 2024"
"""The default: the date that Llama 3.1 and 3.2 print if no clock is available."""
DATE_VARIABLE = "date_string"
"""In templates that leave the choice to the caller."""
_FORMS = ("%d %b %Y", "%d %B %Y", "%Y-%m-%d")
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_READS_CLOCK, _READS_DATE = (re.compile(rf"\b{name}\b") for name in ("strftime_now", DATE_VARIABLE))
_DIRECTIVES = "aAbBcdDeFHIjmMpSuUVwWxXyY"  # of strftime; each also works without padding, as in %-d
_BEGIN, _END = "{#- the date is fixed -#}", "{#- from here on the model's own -#}{{ '' }}"


def check_date(date: str) -> None:
    """Raises UserError if `date` is not a date."""
    _parsed(date)


def reads_clock(template: str) -> bool:
    """True if a template reads the current date."""
    return _READS_CLOCK.search(_COMMENT.sub("", template)) is not None


def is_dated(template: str, date: str) -> bool:
    """True if what a template renders depends on `date`: it reads the clock, or it has a default date and `date`
    differs from it."""
    plain = _COMMENT.sub("", template)
    return reads_clock(template) or (date != DATE and _READS_DATE.search(plain) is not None)


def with_date(template: Any, date: str) -> Any:
    """Makes the template (or each of a dict of templates by name) print `date`, if it prints a date at all."""
    if isinstance(template, Mapping):
        return {name: with_date(one, date) for name, one in template.items()}
    if not isinstance(template, str) or template.startswith(_BEGIN) or not is_dated(template, date):
        return template
    day = _parsed(date)
    text = "format"
    for directive in _DIRECTIVES:
        for sign in ("%-", "%"):
            value = day.strftime(f"%{directive}")
            text += f" | replace('{sign}{directive}', '{value.lstrip('0 ') or '0' if sign == '%-' else value}')"
    clock = f"{{% macro strftime_now(format) %}}{{{{ {text} }}}}{{% endmacro %}}"
    variable = f"{{% if date_string is not defined %}}{{% set date_string = '{day:{_FORMS[0]}}' %}}{{% endif %}}"
    return _BEGIN + (clock if reads_clock(template) else variable) + _END + template


def without_date(template: Any) -> Any:
    """Undoes `with_date`."""
    if isinstance(template, Mapping):
        return {name: without_date(one) for name, one in template.items()}
    if not isinstance(template, str) or not template.startswith(_BEGIN):
        return template
    return template.split(_END, 1)[1]


def _parsed(date: str) -> datetime:
    for form in _FORMS:
        try:
            return datetime.strptime(date, form)
        except ValueError:
            continue
    raise UserError(f"model.date_string is {date!r}, which is not a date; write it as {DATE} or 2024-07-26")
