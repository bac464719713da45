"""Email addresses, which name people."""

import email_validator
from email_validator import EmailNotValidError, validate_email

# An installation may have names of its own, such as corp.local or demo@localhost. The list is the library's documented
# switch for them, and it has no other.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()


class InvalidEmail(ValueError):
    """Not an email address; says what is wrong with it."""


def normalised(email: str) -> str:
    """The form in which an address is stored and compared: Unicode NFC, lower case.

    The part before the @ is case-sensitive by RFC 5321, section 2.4, and is not for any provider of note: two people
    whose addresses differ in case alone would be an attack.

    Raises:
        InvalidEmail: it is no address.
    """
    try:
        found = validate_email(email.strip(), check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as e:
        raise InvalidEmail(str(e)) from e
    return found.normalized.lower()
